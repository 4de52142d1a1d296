"""Network namespaces to try a director in: topologies, real servers, clients, the demo."""
