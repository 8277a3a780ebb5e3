"""What went wrong between us and Kafka, said in one line that a person can act on."""


class BrokerError(Exception):
    """No broker can be had: the message names the cause and what to do about it."""
