"""The language server: the words of `calseq validate` while a file is typed, its fixes and its layout."""
