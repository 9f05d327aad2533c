"""What Redis does in one step: leases, counters, signs of life. Its clock is everybody's.

Tokens are milliseconds of that clock, or one more than the last: they rise also when Redis has lost its data. Leases
that it lost may still be believed in, so for the time of a lease none is given after such a loss (``born``).
"""

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder, ttl, every, slot, ask = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
redis.call('SET', KEYS[3], now, 'NX')
if now < tonumber(redis.call('GET', KEYS[3])) + ttl then return {0, 0, '', 'settling'} end
local found = redis.call('HMGET', KEYS[1], 'holder', 'until', 'token', 'begun', 'slot', 'ask')
if found[1] and found[1] ~= '' and tonumber(found[2]) > now then
  if ask ~= '' and found[1] == holder and found[6] == ask then return {1, tonumber(found[3]), holder, ''} end
  return {0, tonumber(found[3]), found[1], 'held'}
end
if every > 0 and found[4] and now < tonumber(found[4]) + every * 0.99 then return {0, 0, '', 'not yet'} end
if slot then
  local last = tonumber(found[5] or '')
  if last and last <= now / 1000 + 90 and slot <= last then return {0, 0, '', 'done'} end
end
local token = redis.call('INCR', KEYS[2])
if token < now then
  token = now
  redis.call('SET', KEYS[2], string.format('%.0f', now))
end
redis.call('HSET', KEYS[1], 'holder', holder, 'until', string.format('%.0f', now + ttl),
  'token', string.format('%.0f', token), 'begun', string.format('%.0f', now), 'slot', ARGV[4], 'ask', ask)
redis.call('PEXPIRE', KEYS[1], math.max(86400000 * 40, ttl + every * 2))
return {1, token, holder, ''}
"""

RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'holder', 'until', 'token')
if found[1] ~= ARGV[1] or found[3] ~= ARGV[2] then return {0, 0, found[1] or '', 'lost'} end
if tonumber(found[2]) <= now then return {0, 0, '', 'ran out'} end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[3])))
return {1, tonumber(found[3]), ARGV[1], ''}
"""

RELEASE = """
local found = redis.call('HMGET', KEYS[1], 'holder', 'token')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return {0, 0, '', 'lost'} end
redis.call('HSET', KEYS[1], 'holder', '', 'until', '0')
return {1, tonumber(found[2]), '', ''}
"""

COUNT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], left)
end
return {count, left}
"""

BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
for _, host in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))) do
  redis.call('ZREM', KEYS[1], host)
  redis.call('HDEL', KEYS[2], host)
  redis.call('INCR', KEYS[3])
end
return {tonumber(redis.call('GET', KEYS[3]) or '0'), tonumber(redis.call('GET', KEYS[4]) or '0'),
  redis.call('HEXISTS', KEYS[2], ARGV[1])}
"""
