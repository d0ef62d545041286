-- What a worker that leaves hands on waits until this worker has closed its own listeners. It tries the sockets of all slots
-- for the next worker, and its own socket has a listener for a moment longer: with that it would lose what still waited to
-- be accepted. A request that may change something cannot be repeated then, since it may have been read.
--
-- Where no other worker listens, as on a node that a gateway leaves, this one still has its servers: it keeps the request.

local STEP_MS = 1
-- All listeners of a worker close at once; a frontend that does not say so keeps nothing back for long.
local LIMIT_MS = 2000
-- For how long another worker is looked for: a socket takes no connection either while too many wait to be accepted.
local SEARCH_MS = 50

local function is_closed(txn)
    return core.frontends[txn.f:fe_name()]:get_stats().status == "STOP"
end

local function listens(address)
    local socket = core.tcp()
    local is_open = socket:connect(address)
    socket:close()
    return is_open == 1
end

local function has_successor(backend)
    for _, server in pairs(core.backends[backend].servers) do
        if listens(server:get_addr()) then
            return true
        end
    end
    return false
end

local function waited_for(look, limit)
    local deadline, seen = now_ms() + limit, look()
    while not seen and now_ms() < deadline do
        core.msleep(STEP_MS)
        seen = look()
    end
    return seen
end

-- `backend` has the sockets in which the next worker may listen.
core.register_action("leave", { "http-req", "tcp-req" }, function(txn, backend)
    waited_for(function() return is_closed(txn) end, LIMIT_MS)
    -- Who has not waited is served here: whether a worker leaves can change from one rule to the next.
    if waited_for(function() return has_successor(backend) end, SEARCH_MS) then
        txn:set_var("txn.leaves", true)
    end
end, 1)
