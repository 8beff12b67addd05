// tutti-info: what the library finds on this machine, as text or JSON.
//
// Version and kernels, transports, the topology by hwloc, network interfaces, and every setting with its value and where
// that came from. Facts are collected once into one JSON value; the text is a rendering of it, so the two cannot disagree.
// A setting that cannot be used is shown with its error, and the exit code is 1. The rest is shown all the same. The secret of
// TUTTI_COMM_ID is never shown.
#include <atomic>
#include <arpa/inet.h>
#include <hwloc.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/settings.h"
#include "lib/base/status.h"
#include "lib/boot/address.h"
#include "lib/boot/unique_id.h"
#include "lib/comm/comm.h"
#include "lib/comm/seats.h"
#include "lib/dtype/dtype.h"
#include "lib/topo/topology.h"
#include "lib/transport/transport.h"
#include "tools/tool.h"
#include "tutti/tutti.h"

namespace {

using Json = nlohmann::ordered_json;
using tutti::Setting;
using Errors = std::map<Setting, std::string>;

// Opens the transport as a communicator of one rank would.
tutti::Status try_transport(const tutti::TransportKind& kind, const tutti::Settings& settings) {
  const std::atomic<bool> cancel{false};
  return kind.create({0, 1, 4096, settings, cancel}).status();
}

Json library_facts() {
  return {{"version", tutti::concat(TUTTI_MAJOR, ".", TUTTI_MINOR, ".", TUTTI_PATCH)}, {"kernels", tutti::kernel_isa()}};
}

Json transport_facts(const tutti::Settings& settings) {
  Json transports = Json::array();
  for (const tutti::TransportKind& kind : tutti::all_transports()) {
    const std::string why = try_transport(kind, settings).text();
    transports.push_back({{"name", kind.name}, {"help", kind.help}, {"usable", why.empty()}, {"why_not", why}});
  }
  return transports;
}

std::string size_text(uint64_t bytes) {
  const uint64_t kib = bytes >> 10;
  if (kib >= 1 << 20 && kib % (1 << 10) == 0) return std::to_string(kib >> 20) + " GiB";
  return kib >= 1 << 10 && kib % (1 << 10) == 0 ? std::to_string(kib >> 10) + " MiB" : std::to_string(kib) + " KiB";
}

Json cache_facts(hwloc_topology_t topology) {
  Json caches = Json::array();
  for (const hwloc_obj_type_t type : {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE}) {
    std::map<uint64_t, int> by_size;  // caches of one level may differ, as on machines with big and small cores
    for (hwloc_obj_t cache = nullptr; (cache = hwloc_get_next_obj_by_type(topology, type, cache)) != nullptr;)
      ++by_size[cache->attr->cache.size];
    for (const auto& [bytes, number] : by_size)
      caches.push_back({{"level", hwloc_obj_type_string(type)}, {"number", number}, {"bytes", bytes}});
  }
  return caches;
}

Json topology_facts() {
  hwloc_topology_t topology;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  Json facts = nullptr;
  if (hwloc_topology_load(topology) == 0) {
    char host[256] = "?";
    gethostname(host, sizeof host - 1);
    const auto number = [&](hwloc_obj_type_t type) { return hwloc_get_nbobjs_by_type(topology, type); };
    facts = {{"host", host},
             {"packages", number(HWLOC_OBJ_PACKAGE)},
             {"numa_nodes", number(HWLOC_OBJ_NUMANODE)},
             {"cores", number(HWLOC_OBJ_CORE)},
             {"processors", number(HWLOC_OBJ_PU)},
             {"memory_bytes", hwloc_get_root_obj(topology)->total_memory},
             {"caches", cache_facts(topology)}};
  }
  hwloc_topology_destroy(topology);
  return facts;
}

Json interface_facts() {
  Json interfaces = Json::array();
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return interfaces;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    const int family = entry->ifa_addr->sa_family;
    char text[INET6_ADDRSTRLEN] = "";
    if (family == AF_INET)
      inet_ntop(family, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text, sizeof text);
    else if (family == AF_INET6)
      inet_ntop(family, &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr, text, sizeof text);
    else
      continue;
    interfaces.push_back({{"name", entry->ifa_name},
                          {"address", text},
                          {"up", (entry->ifa_flags & IFF_UP) != 0},
                          {"loopback", (entry->ifa_flags & IFF_LOOPBACK) != 0}});
  }
  freeifaddrs(list);
  return interfaces;
}

// The error by which a communicator would refuse this setting before it looks for other ranks. REQUIRES: all other settings have their
// defaults.
tutti::Status check(Setting setting, const tutti::Settings& settings) {
  const std::string& text = settings.text(setting);
  if (text.empty()) return {};
  switch (setting) {
    case Setting::CommId: return tutti::id_from_text(text, settings.origin(setting)).status();
    case Setting::SocketIfname: return tutti::choose_interface(settings).status();
    case Setting::NetIfname:
      for (const tutti::TransportKind& kind : tutti::all_transports())
        if (tutti::Status status = try_transport(kind, settings); status.code() == tutti::Code::InvalidArgument) return status;
      return {};
    case Setting::Topo: return settings.about(setting, tutti::Topology::synthetic(text).status());
    case Setting::TopoFile: return tutti::Seats().read(settings, 0, 1);
    default: return tutti::Comm::check(settings);
  }
}

// The errors of all settings: of those that cannot be read, and of those that can be read but not used.
Errors errors_of(const tutti::Settings& settings, const std::vector<tutti::Settings::Mistake>& mistakes) {
  Errors errors;
  for (const tutti::Settings::Mistake& mistake : mistakes) {
    std::string& text = errors[mistake.setting];
    text += (text.empty() ? "" : "; ") + mistake.status.text();
  }
  for (const tutti::SettingRow& row : tutti::setting_rows()) {
    if (errors.count(row.setting)) continue;
    if (const tutti::Status status = check(row.setting, settings.alone(row.setting)); !status.ok()) errors[row.setting] = status.text();
  }
  return errors;
}

Json setting_facts(const tutti::Settings& settings, const Errors& errors) {
  Json facts = Json::array();
  for (const tutti::SettingRow& row : tutti::setting_rows()) {
    facts.push_back({{"name", row.name}, {"value", settings.shown(row.setting)}, {"origin", settings.origin(row.setting)}, {"help", row.help}});
    if (const auto error = errors.find(row.setting); error != errors.end()) facts.back()["error"] = error->second;
  }
  return facts;
}

std::string text_of(const Json& value) {
  return value.get<std::string>();
}

void print(const Json& facts) {
  std::printf("Tutti %s, kernels %s\n", text_of(facts["library"]["version"]).c_str(),
              text_of(facts["library"]["kernels"]).c_str());

  std::printf("\nTransports\n");
  for (const Json& row : facts["transports"])
    std::printf("  %-8s %s%s%s\n", text_of(row["name"]).c_str(), text_of(row["help"]).c_str(),
                row["usable"] ? "" : "; NOT usable here: ", text_of(row["why_not"]).c_str());

  if (const Json& machine = facts["topology"]; !machine.is_null()) {
    const auto number = [&](const char* name) { return machine[name].get<int>(); };
    std::printf("\nMachine %s\n", text_of(machine["host"]).c_str());
    std::printf("  packages %d, NUMA nodes %d, cores %d, processors %d, memory %s\n", number("packages"),
                number("numa_nodes"), number("cores"), number("processors"),
                size_text(machine["memory_bytes"].get<uint64_t>()).c_str());
    for (const Json& cache : machine["caches"])
      std::printf("  %d x %s of %s\n", cache["number"].get<int>(), text_of(cache["level"]).c_str(),
                  size_text(cache["bytes"].get<uint64_t>()).c_str());
  }

  std::printf("\nInterfaces\n");
  for (const Json& row : facts["interfaces"])
    std::printf("  %-12s %s%s%s\n", text_of(row["name"]).c_str(), text_of(row["address"]).c_str(),
                row["up"].get<bool>() ? "" : " (down)", row["loopback"].get<bool>() ? " (loopback)" : "");

  std::printf("\nSettings\n");
  for (const Json& row : facts["settings"]) {
    std::printf("  %-24s %-12s %-14s %s\n", text_of(row["name"]).c_str(), text_of(row["value"]).c_str(),
                text_of(row["origin"]).c_str(), text_of(row["help"]).c_str());
    if (row.contains("error")) std::printf("    WRONG: %s\n", text_of(row["error"]).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  CLI::App app{"Shows what Tutti finds on this machine, and its settings."};
  app.add_flag("--json", json, "as JSON");
  return tutti::tool::run_tool("tutti-info", app, argc, argv, [&] {
    std::vector<tutti::Settings::Mistake> mistakes;
    const tutti::Settings settings = tutti::Settings::load(mistakes);
    const Errors errors = errors_of(settings, mistakes);
    const Json facts{{"library", library_facts()},
                     {"transports", transport_facts(settings)},
                     {"topology", topology_facts()},
                     {"interfaces", interface_facts()},
                     {"settings", setting_facts(settings, errors)}};
    if (json)
      std::printf("%s\n", facts.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    else
      print(facts);
    std::fflush(stdout);
    for (const auto& [setting, error] : errors) std::fprintf(stderr, "tutti-info: %s\n", error.c_str());
    return errors.empty() ? 0 : 1;
  });
}
