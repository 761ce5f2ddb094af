"""WeChat service accounts: texts inside of windows, notices by template or subscription, sealed callbacks."""
