"""The web console: static pages, who is signed in, and the one door through which a page asks any role.

Nothing here knows more than the API: a page calls `/console/api/{role}/{path}`, the gateway puts the signed-in caller in place
of the cookie and hands the request to that role, in this process or over the network, which answers as it answers a script.

- `sessions` keeps sign-ins in the shared store (the cookie holds a random id, the store its hash), so that every Router knows them;
- `gateway` passes requests on, for writes only with the session's token (no other site can make a page send it);
- `pages` serves the files under `static/` with a policy that lets nothing from elsewhere run;
- `routes` names the endpoints.
"""
