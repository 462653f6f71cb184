"""Signing people in at a provider of identities: OpenID Connect Core 1.0 with the authorization code, always with PKCE (RFC 7636).

- `provider` asks a provider: where to send a browser, what a code is worth, for a device (RFC 8628), again by a refresh token;
- `id_token` checks what it vouches for;
- `way` is what the browser carries while it is there, sealed, so that strangers leave nothing with us;
- `grants` remembers that somebody came by a provider, and asks there now and then whether that still holds;
- `entrance` puts them together: from a code to an account of ours.

Everything a provider is asked goes through the outgoing door, with a deadline and a bound on the answer.
"""
