"""The assessment: from an observation of the engine and the proxy to one verdict on each instance."""
