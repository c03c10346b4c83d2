"""``python -m evoft``: the command line, where ``evoft`` itself is not on the path."""

from evoft.cli.start import main

if __name__ == "__main__":
    main()
