// Gives the library a source before its first helper exists.
