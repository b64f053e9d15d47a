"""What AWS charges, as a dated table: no plan asks AWS for a price."""
