-- Holds a request while its pool has no usable server, for at most `limit` milliseconds. HAProxy alone would answer
-- 503 at once, although a single replica that is being replaced is back within seconds. A worker that is told to leave
-- lets go: its pool will not change any more. So does one whose request is no longer for that pool.

-- The server that comes back gets the requests that wait no faster than it takes them: a backlog for connections may be
-- as short as 128, what does not fit into it times out, and a few such errors would set the only server DOWN again.
-- So there are only so many places for each server for what was let go and has no answer yet.
local WINDOW = 64
-- A place is free again with the answer, also if that is one of a WebSocket that then lasts for hours. Of what has none
-- after this time it is not known whether it still waits to be accepted.
local PLACE_MS = 10000
-- `limit` is for the time without a server. Who is in line for one when it ends waits on, but takes no place any more: in
-- each tick at least one of them is let go, and one for every 1000 connections, so that all have gone within 40 s.
local LEAST = 1
local LAST_TICK = 1000
local LATE_MS = 40000

local TICK_MS = 20
-- All held requests together look at most about this often, so that thousands of them cost no more than a few.
local LOOKS_PER_MS = 5

-- How long requests waited, by what became of them, as a Prometheus histogram: HAProxy's own exporter knows nothing of
-- it. All threads share this state, so a number is that of the whole process.
local BUCKETS = { 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0 }
local RESULTS = { "released", "timeout", "handed_over", "moved" }
local METRIC = "vault_request_hold_seconds"
local holds = {}
for _, result in ipairs(RESULTS) do
    holds[result] = { sum = 0.0, count = 0 }
    for index in ipairs(BUCKETS) do
        holds[result][index] = 0
    end
end

local function count(result, seconds)
    local seen = holds[result]
    seen.sum = seen.sum + seconds
    seen.count = seen.count + 1
    for index, bound in ipairs(BUCKETS) do
        if seconds <= bound then
            seen[index] = seen[index] + 1
        end
    end
end

-- What may still be let go into each pool in the present tick.
local ticks = {}

-- The places of each pool: how many are taken, and when each is free at the latest, by the number of who took it.
local places = {}

local function places_of(pool)
    local mine = places[pool]
    if mine == nil then
        mine = { taken = 0, oldest = 1, newest = 0, ends = {} }
        places[pool] = mine
    end
    return mine
end

local function give_back(mine, number)
    if mine.ends[number] then
        mine.ends[number] = nil
        mine.taken = mine.taken - 1
    end
end

local function give_back_old(mine, now)
    while mine.oldest <= mine.newest and (mine.ends[mine.oldest] or 0) <= now do
        give_back(mine, mine.oldest)
        mine.oldest = mine.oldest + 1
    end
end

local function take(txn, pool, now, lasts)
    local mine = places_of(pool)
    mine.newest = mine.newest + 1
    mine.ends[mine.newest] = now + lasts
    mine.taken = mine.taken + 1
    txn:set_var("txn.turn", mine.newest)
    txn:set_var("txn.turn_of", pool)
end

-- The controller may have stopped all replicas for want of requests: it is told that one waits, and again while it does.
local TELL_MS = 2000
local told = {}

local function tell(txn, pool, now)
    if now - (told[pool] or -TELL_MS) >= TELL_MS then
        told[pool] = now
        txn:log(core.notice, "request waits for a server of " .. pool)
    end
end

-- The pools that are about to lose their last server.
local CLOSING = "closing"

-- Whether a request may go to its pool now, and whether that has a server.
local function lets_go(txn, pool, now, is_late)
    -- In this order: the mark is taken away after the server has left.
    local is_closing = txn.c:table_gpt0(pool, CLOSING) > 0
    local servers = txn.f:nbsrv(pool)
    local mine = places_of(pool)
    if servers == 0 or servers == 1 and is_closing then
        -- What was let go has failed by now, or is answered by a server that takes nothing new.
        give_back_old(mine, math.huge)
        tell(txn, pool, now)
        return false, false
    end
    local tick = ticks[pool]
    if tick == nil or tick.number ~= now // TICK_MS then
        give_back_old(mine, now)
        local least = math.max(LEAST, txn.f:fe_conn() // LAST_TICK)
        tick = { number = now // TICK_MS, left = WINDOW * servers - mine.taken, late = least }
        ticks[pool] = tick
    end
    if tick.left > 0 then
        tick.left = tick.left - 1
        return true, true
    end
    if is_late and tick.late > 0 then
        tick.late = tick.late - 1
        return true, true
    end
    return false, true
end

-- `has_moved` says whether a request is for something else by now; that is asked less often. Returns its last answer.
local MOVE_MS = 200

function hold(txn, pool, limit, has_moved, lasts)
    local began = now_ms()
    local deadline, look = began + limit, began
    local now, moved = began, false
    local released, has_server = lets_go(txn, pool, began)
    local function may_wait()
        return now < deadline or has_server and now < deadline + LATE_MS
    end
    while not released and not moved and not leaving(txn) and may_wait() do
        if has_moved and now >= look then
            look = now + MOVE_MS
            moved = has_moved(txn)
        end
        if not moved then
            core.msleep(math.max(TICK_MS, txn.f:fe_conn() // LOOKS_PER_MS))
            now = now_ms()
            released, has_server = lets_go(txn, pool, now, now >= deadline)
        end
    end
    -- The pool may be another service's by now.
    if released and now > began and has_moved and has_moved(txn) then
        moved, released = true, false
    end
    if released then
        take(txn, pool, now, lasts or PLACE_MS)
    end
    local result = released and "released" or moved and "moved" or leaving(txn) and "handed_over" or "timeout"
    count(result, (now - began) / 1000)
    return moved
end

core.register_action("hold", { "http-req" }, function(txn, pool, limit)
    hold(txn, pool, tonumber(limit))
end, 2)

core.register_action("answered", { "http-res" }, function(txn)
    give_back(places_of(txn:get_var("txn.turn_of")), txn:get_var("txn.turn"))
end, 0)

-- What the routes of a gateway were asked, which its configuration counts in a stick table: gpc 0 to 3 are the classes of
-- statuses from 2xx on, 4 the milliseconds that replicas took until the headers of their answers, 5 how many these were.
local CLASSES = { "2xx", "3xx", "4xx", "5xx" }
local TABLE = "routes"

local function route_lines(applet, lines)
    local backend = core.backends[TABLE]
    if backend == nil or backend.stktable == nil then
        return
    end
    local seen = backend.stktable:dump()
    local function family(name, kind, help)
        lines[#lines + 1] = "# HELP " .. name .. " " .. help
        lines[#lines + 1] = "# TYPE " .. name .. " " .. kind
    end
    local function counter(route, index)
        return applet.c:table_gpc(route, index, TABLE) or 0
    end
    family("vault_route_requests_total", "counter", "Answers to the requests of a route, by the class of their status.")
    for route in pairs(seen) do
        for index, class in ipairs(CLASSES) do
            lines[#lines + 1] = string.format(
                'vault_route_requests_total{route="%s",class="%s"} %d', route, class, counter(route, index - 1))
        end
    end
    family("vault_route_responses_total", "counter", "Answers that a replica gave, not HAProxy itself.")
    for route in pairs(seen) do
        lines[#lines + 1] = string.format('vault_route_responses_total{route="%s"} %d', route, counter(route, 5))
    end
    family("vault_route_response_seconds_total", "counter",
        "Time that replicas took until the headers of these answers, all together.")
    for route in pairs(seen) do
        lines[#lines + 1] = string.format(
            'vault_route_response_seconds_total{route="%s"} %.3f', route, counter(route, 4) / 1000)
    end
    family("vault_route_bytes_total", "counter", "Bytes that clients of a route sent and received.")
    for route, entry in pairs(seen) do
        lines[#lines + 1] = string.format(
            'vault_route_bytes_total{route="%s",direction="in"} %d', route, entry.bytes_in_cnt)
        lines[#lines + 1] = string.format(
            'vault_route_bytes_total{route="%s",direction="out"} %d', route, entry.bytes_out_cnt)
    end
    family("vault_route_active_requests", "gauge", "Requests and upgraded connections of a route that are under way.")
    for route, entry in pairs(seen) do
        lines[#lines + 1] = string.format('vault_route_active_requests{route="%s"} %d', route, entry.conn_cur)
    end
end

core.register_service("holds", "http", function(applet)
    local lines = {
        "# HELP " .. METRIC .. " How long requests were held because no server of the pool could take them.",
        "# TYPE " .. METRIC .. " histogram",
    }
    for _, result in ipairs(RESULTS) do
        local seen = holds[result]
        for index, bound in ipairs(BUCKETS) do
            lines[#lines + 1] = string.format('%s_bucket{result="%s",le="%s"} %d', METRIC, result, bound, seen[index])
        end
        lines[#lines + 1] = string.format('%s_bucket{result="%s",le="+Inf"} %d', METRIC, result, seen.count)
        lines[#lines + 1] = string.format('%s_sum{result="%s"} %.3f', METRIC, result, seen.sum)
        lines[#lines + 1] = string.format('%s_count{result="%s"} %d', METRIC, result, seen.count)
    end
    route_lines(applet, lines)
    local body = table.concat(lines, "\n") .. "\n"
    applet:set_status(200)
    applet:add_header("content-type", "text/plain; version=0.0.4")
    applet:add_header("content-length", tostring(#body))
    applet:start_response()
    applet:send(body)
end)
