"""What channels that ask over HTTP share: connections, plain answers, access tokens."""
