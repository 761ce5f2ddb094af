"""The one SQL database of a workspace: tables, migrations, transactions."""
