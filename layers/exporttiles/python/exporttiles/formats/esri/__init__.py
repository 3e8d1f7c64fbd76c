"""Documents of Esri: JSON, XML, and the values in them."""
