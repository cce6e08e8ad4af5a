"""The words that every other package uses: addresses, numbers of protocols, OpenFlow's names, and time."""
