"""`python -m intellirouter`."""

from intellirouter.cli.main import main

if __name__ == "__main__":
    main()
