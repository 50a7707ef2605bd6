-- SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
-- job_submit.lua for slurmctld (JobSubmitPlugins=lua): what --fastgpu asks for becomes gres/shard, so that Slurm itself counts it, and
-- --gres=gpu and --fastgpu keep out of each other's way. Copy it beside slurm.conf, or take its functions into your own.

-- Shards of each GPU, as in gres.conf (Count= divided by the number of GPUs), and the memory of the smallest GPU that has shards.
local SHARDS = 100
local DEVICE_MEMORY = "80G"

-- With rented nodes: the program that chooses among the sites (docs: design/sites.md), and the project whose budget counts: "%a" is the
-- job's account, "" none. A job then asks for nodes of those sites that fit it, of which Slurm takes the cheapest.
local SITES = ""
local BUDGET_OF = ""

local UNIT = { [""] = 1, B = 1, K = 2^10, M = 2^20, G = 2^30, T = 2^40 }

local function bytes(text)
    local number, unit = text:upper():match("^([%d.]+)(%a*)$")
    unit = unit and unit:gsub("IB$", ""):gsub("(%a)B$", "%1")
    return number and UNIT[unit] and tonumber(number) * UNIT[unit]
end

-- The part of a device that each vGPU takes, 0 to 1: the larger of its memory's and its compute's. Neither given: all of it.
local function part_of(memory, percent)
    local part = tonumber(percent) and tonumber(percent) / 100 or 0
    if memory:sub(-1) == "%" then
        part = math.max(part, (tonumber(memory:sub(1, -2)) or 100) / 100)
    elseif memory ~= "" then
        part = math.max(part, (bytes(memory) or 0) / bytes(DEVICE_MEMORY))
    end
    return part > 0 and part or 1
end

-- What --fastgpu was given as, from what the plugin's options travel in; nil: it was not.
local function wish_of(job)
    for i = 0, (job.spank_job_env_size or 0) - 1 do
        local value = job.spank_job_env[i]:match("SPANK_OPTION_fastgpu_fastgpu=(.*)$")
        if value then
            return value
        end
    end
end

-- As typed it may be gpu:1 or gpu=1, with or without gres in front.
local function asks_for(job, what)
    for _, field in ipairs({ "tres_per_node", "tres_per_job", "tres_per_task", "tres_per_socket", "gres" }) do
        local text = job[field]
        if text and (":" .. text:gsub("[,/=]", ":") .. ":"):find(":" .. what .. ":", 1, true) then
            return true
        end
    end
    return false
end

local function refuse(text, ...)
    slurm.log_user("fastgpu: " .. text, ...)
    return slurm.ERROR
end

-- What the shell is given is made of these letters only.
local function plain(text)
    return text:match("^[%w._%%-]+$")
end

-- The project whose budget counts; "": none.
local function project_of(job)
    local account = job.account or job.default_account or ""
    return (BUDGET_OF:gsub("%%a", function() return account end))
end

local function limit_of(job)
    local minutes = job.time_limit
    return minutes and minutes > 0 and minutes < 2^31 and minutes or nil
end

-- Slurm says "not given" by numbers near 2^32.
local function nodes_of(job)
    local most = 1
    for _, field in ipairs({ "min_nodes", "max_nodes" }) do
        local count = job[field]
        most = count and count < 2^31 and math.max(most, count) or most
    end
    return most
end

local function site_words(job, gpus, memory, percent)
    local words = { SITES, "choose", "--features", "--gpus", gpus }
    local minutes, project = limit_of(job), project_of(job)
    if memory ~= "" and memory:sub(-1) ~= "%" then
        table.insert(words, "--memory " .. memory)
    end
    if percent ~= "" then
        table.insert(words, "--compute " .. percent)
    end
    if minutes then
        -- Each node costs, so N nodes for an hour are N hours.
        table.insert(words, "--hours " .. math.ceil(minutes / 60) * (project ~= "" and nodes_of(job) or 1))
    end
    if project ~= "" then
        table.insert(words, "--project " .. project)
    end
    return table.concat(words, " ") .. " 2>&1"
end

-- With a constraint of the user's own: each of its alternatives is one of the sites that fit.
local function only_sites(features, fitting)
    if BUDGET_OF == "" then
        return true
    end
    for one in (features .. "|"):gmatch("([^|]*)|") do
        if not plain(one) or not ("|" .. fitting .. "|"):find("|" .. one .. "|", 1, true) then
            return false
        end
    end
    return true
end

-- The sites' names are features of their nodes. false: none fits, and why.
local function choose_sites(job, gpus, memory, percent)
    local project = project_of(job)
    if SITES == "" then
        return true
    end
    if memory ~= "" and not plain(memory) then
        return false, "its memory is to be written plainly, such as 8G"
    end
    if project ~= "" and not plain(project) then
        return false, "project \"" .. project .. "\", whose budget counts, has letters that no project has"
    end
    if project ~= "" and not limit_of(job) then
        return false, "the job needs a time limit (--time), for project " .. project .. " has to pay it"
    end
    local pipe = io.popen(site_words(job, gpus, memory, percent))
    local said = (pipe:read("*a"):gsub("%s+$", ""))
    pipe:close()
    -- Older Lua does not tell how it ended: names, or a sentence.
    if not said:match("^[%w._|-]+$") then
        return false, (said:gsub("^fastgpu%-sites: ", ""))
    end
    if not job.features or job.features == "" then
        job.features = said
    elseif not only_sites(job.features, said) then
        return false, "-C " .. job.features .. " is not one of the sites that fit it and can be paid: " .. said
    end
    return true
end

local function fastgpu_submit(job)
    local wish = wish_of(job)
    if not wish then
        return slurm.SUCCESS
    end
    for _, what in ipairs({ "shard", "gpu", "mps" }) do
        if asks_for(job, what) then
            return refuse("the job asks for --gres=%s and for --fastgpu=%s, which are two ways to say the same; leave one out", what, wish)
        end
    end
    local gpus, memory, percent = wish:match("^(%d+):?([^:]*):?([%d.]*)%%?$")
    if not gpus then
        return refuse("--fastgpu=%s cannot be read; write --fastgpu=GPUS:MEMORY:PERCENT, such as 2:8G:25", wish)
    end
    -- Rounded up, but not for what dividing leaves behind the point.
    local shards = tonumber(gpus) * math.ceil(SHARDS * part_of(memory, percent) - 1e-9)
    if shards > SHARDS then
        -- Slurm takes the shards of a job from one GPU of a node.
        return refuse("--fastgpu=%s is more than one GPU of a node has; ask for less, or for whole GPUs: --gres=gpu:%d", wish,
                      math.ceil(shards / SHARDS))
    end
    local fits, why = choose_sites(job, gpus, memory, percent)
    if not fits then
        return refuse("--fastgpu=%s: %s", wish, why)
    end
    local before = job.tres_per_node
    job.tres_per_node = (before and before ~= "" and before .. "," or "") .. "gres:shard:" .. shards
    return slurm.SUCCESS
end

function slurm_job_submit(job, partitions, uid)
    -- Slurm takes a job whose script has failed: uncounted, it would be in the way of others.
    local fine, result = pcall(fastgpu_submit, job)
    if not fine then
        return refuse("job_submit.lua has failed, tell the administrator: %s", tostring(result))
    end
    return result
end

function slurm_job_modify(job, record, partitions, uid)
    return slurm.SUCCESS
end
