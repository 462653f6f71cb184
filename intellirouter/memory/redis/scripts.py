"""The Lua of the store. Each script touches only keys it is given, all of one hash slot, and reads the server's clock.

Sent by hash (EVALSHA); a server that does not know a script yet, after a restart or a failover, is sent its text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

_NOW = """
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = now_us / 1000000
"""

_COUNTER = (
    _NOW
    + """
local function bucket_of(window) if window == 0 then return '0' end return string.format('%.0f', math.floor(now / window)) end
local function level_of(key, window)
  local fields = redis.call('HMGET', key, 'b', 'l')
  if fields[1] == bucket_of(window) then return tonumber(fields[2]) end
  return 0
end
local function left(window) return window - now % window end
local function add(key, amount, window)
  local bucket = bucket_of(window)
  if redis.call('HGET', key, 'b') ~= bucket then
    redis.call('DEL', key)
    redis.call('HSET', key, 'b', bucket, 'l', '0')
    if window > 0 then redis.call('PEXPIRE', key, math.ceil(left(window) * 1000) + 1000) end
  end
  return redis.call('HINCRBYFLOAT', key, 'l', amount)
end
"""
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the hash a server knows it by."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


_EXPIRE = """
local function expire(key, ttl) if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end end
"""

SET = Script(
    _NOW
    + _EXPIRE
    + """
-- ARGV: value, ttl in ms (0: none), '1' when it must be absent. 1 when written.
local version = tonumber(redis.call('HGET', KEYS[1], 'n') or '0')
if ARGV[3] == '1' and version > 0 then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', string.format('%.0f', math.max(version + 1, now_us)))
expire(KEYS[1], tonumber(ARGV[2]))
return 1
"""
)

PUT_IF = Script(
    _NOW
    + _EXPIRE
    + """
-- ARGV: value, ttl in ms, version to replace. The new version, or nil.
local version = redis.call('HGET', KEYS[1], 'n') or '0'
if version ~= ARGV[3] then return false end
local new = string.format('%.0f', math.max(tonumber(version) + 1, now_us))
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', new)
expire(KEYS[1], tonumber(ARGV[2]))
return new
"""
)

MERGE_VALUE = Script(
    _EXPIRE
    + """
-- ARGV: value, ttl in ms, version, '1' for a deletion. Nil when written, else the server's later value, its version and
-- the ms it has left (-1: no end).
local there = redis.call('HMGET', KEYS[1], 'v', 'n')
if tonumber(there[2] or '0') > tonumber(ARGV[3]) then return {there[1], there[2], redis.call('PTTL', KEYS[1])} end
if ARGV[4] == '1' then redis.call('DEL', KEYS[1]) return false end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', ARGV[3])
expire(KEYS[1], tonumber(ARGV[2]))
return false
"""
)

ADD = Script(_COUNTER + "return add(KEYS[1], ARGV[1], tonumber(ARGV[2]))\n")

ADD_ALL = Script(
    _COUNTER
    + """
-- ARGV: the amount of each key. The levels.
local levels = {}
for i, key in ipairs(KEYS) do levels[i] = add(key, ARGV[i], 0) end
return levels
"""
)

LEVEL = Script(_COUNTER + "return tostring(level_of(KEYS[1], tonumber(ARGV[1])))\n")

RESERVE = Script(
    _COUNTER
    + """
-- ARGV: amount, limit, window of each key in turn. {1-based index of the first that does not fit or 0, wait, levels…}
local levels, asked = {}, {}
for i, key in ipairs(KEYS) do
  levels[i] = level_of(key, tonumber(ARGV[i * 3]))
  asked[key] = (asked[key] or 0) + tonumber(ARGV[i * 3 - 2])
end
local reply = {0, '0'}
for i, key in ipairs(KEYS) do
  if levels[i] + asked[key] > tonumber(ARGV[i * 3 - 1]) + 1e-9 then
    local window = tonumber(ARGV[i * 3])
    reply[1] = i
    if window > 0 then reply[2] = tostring(left(window)) end
    for j, level in ipairs(levels) do reply[j + 2] = tostring(level) end
    return reply
  end
end
for i, key in ipairs(KEYS) do add(key, ARGV[i * 3 - 2], tonumber(ARGV[i * 3])) end
for i, key in ipairs(KEYS) do reply[i + 2] = tostring(level_of(key, tonumber(ARGV[i * 3]))) end
return reply
"""
)

MERGE_COUNTER = Script(
    _COUNTER
    + """
-- ARGV: window, bucket, journal, sequence, amount. What one journal counted during an outage is added once: a repeat
-- under the same sequence adds only what is more than before. The new level, or nil when the window is over.
local window = tonumber(ARGV[1])
if ARGV[2] ~= bucket_of(window) then return false end
local mark, applied = 'm:' .. ARGV[3], 0
if redis.call('HGET', KEYS[1], 'b') == ARGV[2] then
  local sequence, amount = string.match(redis.call('HGET', KEYS[1], mark) or '', '^(%d+) (.+)$')
  if sequence == ARGV[4] then applied = tonumber(amount) end
end
local level = add(KEYS[1], string.format('%.17g', tonumber(ARGV[5]) - applied), window)
redis.call('HSET', KEYS[1], mark, ARGV[4] .. ' ' .. ARGV[5])
return level
"""
)

APPEND = Script(
    """
-- ARGV: expected length (-1: any), ttl in ms (0: leave), items… The new length, or nil.
local length = redis.call('LLEN', KEYS[1])
if tonumber(ARGV[1]) >= 0 and length ~= tonumber(ARGV[1]) then return false end
for i = 3, #ARGV do length = redis.call('RPUSH', KEYS[1], ARGV[i]) end
if tonumber(ARGV[2]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return length
"""
)

REPLACE = Script(
    """
-- ARGV: expected length, ttl in ms (0: none), items in place of those that are there. 1 when written.
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
if tonumber(ARGV[2]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""
)

ACQUIRE = Script(
    _NOW
    + """
-- ARGV: owner, ttl in s, how long to remember the token in ms. The token, or nil. A token is remembered past its end.
local lease = redis.call('HMGET', KEYS[1], 'o', 't', 'e')
local held = lease[1] and tonumber(lease[3]) > now
if held and lease[1] ~= ARGV[1] then return false end
local token = lease[2]
if not held then token = string.format('%.0f', math.max(tonumber(token or '0') + 1, now_us)) end
redis.call('HSET', KEYS[1], 'o', ARGV[1], 't', token, 'e', string.format('%.6f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return token
"""
)

RENEW = Script(
    _NOW
    + """
-- ARGV: owner, token, ttl in s, memory in ms. 1 when still held.
local lease = redis.call('HMGET', KEYS[1], 'o', 't', 'e')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or tonumber(lease[3]) <= now then return 0 end
redis.call('HSET', KEYS[1], 'e', string.format('%.6f', now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
)

RELEASE = Script(
    """
-- ARGV: owner, token.
local lease = redis.call('HMGET', KEYS[1], 'o', 't')
if lease[1] == ARGV[1] and lease[2] == ARGV[2] then redis.call('HSET', KEYS[1], 'e', '0') end
return 1
"""
)
