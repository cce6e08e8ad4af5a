"""A packet's way through the tables: from a flow key to datapath actions and the bits that mattered."""
