-- Holds what is for a pool of a gateway, see hold.lua, and lets go when what it was for has changed: its route has gone, leads
-- to another pool, or has other rules. The configuration has it decided once more then, from the beginning, as if it came
-- now: another route may have a login that this request was never asked for.

local routes = Map.new("/usr/local/etc/haproxy/maps/routes.map", Map._beg)
local listeners = Map.new("/usr/local/etc/haproxy/maps/tcp.map", Map._str)

-- What the rules for answers would say of the former route.
local SAID = { "txn.flags", "txn.request_id", "txn.cors", "txn.allowed", "txn.preflight" }

-- Of a connection of TCP there is no answer: a server has accepted it by then.
local ACCEPTED_MS = 1000

local function holds(map, lasts)
    return function(txn)
        local key, target = txn:get_var("txn.key"), txn:get_var("txn.target")
        -- A question to an auth service has neither.
        local has_moved = key and target and function() return map:lookup(key) ~= target end
        if hold(txn, txn:get_var("txn.pool"), txn:get_var("txn.hold"), has_moved, lasts) then
            for _, name in ipairs(SAID) do
                txn:unset_var(name)
            end
            txn:set_var("txn.moved", "yes")
        end
    end
end

core.register_action("hold_request", { "http-req" }, holds(routes), 0)
core.register_action("hold_connection", { "tcp-req" }, holds(listeners, ACCEPTED_MS), 0)
