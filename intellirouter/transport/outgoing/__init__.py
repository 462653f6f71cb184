"""The outgoing door: every request that is made because somebody else named its address goes through here.

addresses  which addresses lead inside: pure
places     what an address may look like, and what the operator allows by name
lookup     names become addresses, checked, and the connection is made to the ones that were checked
door       sends: redirects checked anew, size, time and type bounded, through the proxy where there is one

Addresses that stand in the operator's own configuration are `trusted`: they may lead inside, and get every other bound.
"""
