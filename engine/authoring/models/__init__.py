"""What each kind of file may say, as frozen strict models; editors show their descriptions."""
