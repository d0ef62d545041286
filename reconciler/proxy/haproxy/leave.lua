-- What a worker that leaves hands on waits until this worker has closed its own listeners. It tries the sockets of all slots
-- for the next worker, and its own socket has a listener for a moment longer: with that it would lose what still waited to
-- be accepted. A request that may change something cannot be repeated then, since it may have been read.

local STEP_MS = 1
-- All listeners of a worker close at once; a frontend that does not say so keeps nothing back for long.
local LIMIT_MS = 2000

local function is_closed(txn)
    return core.frontends[txn.f:fe_name()]:get_stats().status == "STOP"
end

core.register_action("leave", { "http-req", "tcp-req" }, function(txn)
    local deadline = now_ms() + LIMIT_MS
    while not is_closed(txn) and now_ms() < deadline do
        core.msleep(STEP_MS)
    end
    -- Who has not waited is served here: whether a worker leaves can change from one rule to the next.
    txn:set_var("txn.leaves", true)
end, 0)
