-- Sets and removes headers of a route. Their names are in a map, and no directive of HAProxy takes a name from there.
-- An entry is a list of ">Name" (remove) and ">Name:value" (set, percent-encoded) for requests, "<" for answers.

local map = Map.new("/usr/local/etc/haproxy/maps/headers.map", Map._str)

local function decoded(text)
    return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function changes(txn, direction)
    local all = map:lookup(txn:get_var("txn.route") or "") or ""
    return all:gmatch("%" .. direction .. "([^:,]+)(:?)([^,]*)")
end

core.register_action("request_headers", { "http-req" }, function(txn)
    for name, sets, value in changes(txn, ">") do
        if sets == ":" then
            txn.http:req_set_header(name, decoded(value))
        else
            txn.http:req_del_header(name)
        end
    end
end, 0)

core.register_action("response_headers", { "http-res" }, function(txn)
    for name, sets, value in changes(txn, "<") do
        if sets == ":" then
            txn.http:res_set_header(name, decoded(value))
        else
            txn.http:res_del_header(name)
        end
    end
end, 0)
