"""How a message leaves: a signed webhook through the outgoing door, a program, or a service that apprise knows.

Each is sent within the channel's own deadline, and a channel has one worker, so that one that hangs holds up nothing but itself.
"""
