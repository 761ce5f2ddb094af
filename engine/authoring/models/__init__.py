"""What each kind of file may say, as frozen strict models; their descriptions are what operators read in the editor."""
