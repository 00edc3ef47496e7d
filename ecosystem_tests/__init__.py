"""The connector in Airbyte's world: PyAirbyte, the standard tests, earlier releases, the image, the documents."""
