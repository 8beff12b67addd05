// tree: see tree.h.
#include "tools/topo/tree.h"

#include <hwloc.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "lib/topo/nics.h"

namespace tutti::show {
namespace {

constexpr size_t kLongRun = 4;  // more neighbours that are alike are folded

std::string with(const std::string& a, const std::string& b) { return a.empty() || b.empty() ? a + b : a + ", " + b; }

Way way_of(const std::optional<double>& bps, const std::optional<double>& latency_s, const std::string& name = "") {
  const std::string rate = bps ? text_of_rate(*bps) : "";
  return {bps.value_or(0), with(name.empty() || rate.empty() ? name + rate : name + " " + rate, latency_s ? text_of_time(*latency_s) : "")};
}

Place place_of(const Cluster::Host& host, int& next_rank) {
  Place place{"host", host.name, {}};
  for (const Cluster::Nic& nic : host.nics) place.ways.push_back(way_of(nic.bps, {}, nic.name));
  if (place.ways.empty()) place.ways.push_back(way_of({}, {}));
  place.ways.back().label = with(place.ways.back().label, host.latency_s ? text_of_time(*host.latency_s) : "");
  place.cell = "rank";
  for (int i = 0; i < host.ranks; ++i) place.cells.push_back(std::to_string(next_rank++));
  return place;
}

// Numbers as ranges: "0-3 8".
std::string ranges_of(const std::vector<std::string>& cells) {
  std::string text;
  for (size_t i = 0; i < cells.size();) {
    size_t last = i;
    while (last + 1 < cells.size() && std::stoi(cells[last + 1]) == std::stoi(cells[last]) + 1) ++last;
    text += concat(text.empty() ? "" : " ", cells[i], last > i ? "-" + cells[last] : "");
    i = last + 1;
  }
  return text;
}

bool alike(const Place& a, const Place& b) {
  const auto same_way = [](const Way& x, const Way& y) { return x.bps == y.bps && x.label == y.label; };
  return a.kind == b.kind && a.cells.size() == b.cells.size() &&
         std::equal(a.ways.begin(), a.ways.end(), b.ways.begin(), b.ways.end(), same_way) &&
         std::equal(a.inside.begin(), a.inside.end(), b.inside.begin(), b.inside.end(), alike);
}

void write(const Place& place, const std::string& before_first, const std::string& before, std::string& text) {
  text += before_first + (place.kind.empty() ? "" : place.kind + " ") + place.name;
  std::string ways;
  for (const Way& way : place.ways) ways += way.label.empty() ? "" : (ways.empty() ? "" : " + ") + way.label;
  if (!ways.empty()) text += "   " + ways;
  if (place.alike > 1)
    text += concat("   (", place.alike, " like the one above)");
  else if (!place.cells.empty())
    text += concat("   ", place.cell, place.cells.size() > 1 ? "s " : " ", ranges_of(place.cells));
  text += "\n";
  for (const Place& inner : place.inside) {
    const bool last = &inner == &place.inside.back();
    write(inner, before + (last ? "└─ " : "├─ "), before + (last ? "   " : "│  "), text);
  }
}

// The ranks of a topology that share their places outside `level`.
void add_places(const Topology& topology, const std::vector<int>& ranks, size_t level, Place& place) {
  if (level + 1 >= topology.levels().size()) {
    place.cell = "rank";
    for (int rank : ranks) place.cells.push_back(std::to_string(rank));
    return;
  }
  std::vector<std::vector<int>> groups;
  for (int rank : ranks) {
    const size_t index = topology.place(rank, level);
    if (index >= groups.size()) groups.resize(index + 1);
    groups[index].push_back(rank);
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].empty()) continue;
    const Link& link = topology.uplink(groups[i][0], level);
    Place inner{topology.levels()[level].name, std::to_string(i), {way_of(link.bandwidth_Bps * 8, link.latency_s)}};
    add_places(topology, groups[i], level + 1, inner);
    place.inside.push_back(std::move(inner));
  }
}

// The levels of a machine that get a box.
struct Kind {
  hwloc_obj_type_t type;
  const char* name;
};
constexpr Kind kKinds[] = {{HWLOC_OBJ_PACKAGE, "socket"}, {HWLOC_OBJ_NUMANODE, "numa"}, {HWLOC_OBJ_L3CACHE, "cache"}};

void add_objects(hwloc_topology_t topology, hwloc_const_cpuset_t cpus, size_t kind, Place& place) {
  if (kind == std::size(kKinds)) {
    place.cell = "core";
    for (hwloc_obj_t core = nullptr;
         (core = hwloc_get_next_obj_inside_cpuset_by_type(topology, cpus, HWLOC_OBJ_CORE, core)) != nullptr;)
      place.cells.push_back(std::to_string(core->logical_index));
    return;
  }
  bool any = false;
  for (hwloc_obj_t object = nullptr;
       (object = hwloc_get_next_obj_inside_cpuset_by_type(topology, cpus, kKinds[kind].type, object)) != nullptr;) {
    any = true;
    Place inner{kKinds[kind].name, std::to_string(object->logical_index), {}};
    if (object->type == HWLOC_OBJ_L3CACHE) inner.name += concat(" of ", object->attr->cache.size >> 20, " MiB");
    if (object->type == HWLOC_OBJ_NUMANODE) inner.name += concat(" of ", object->attr->numanode.local_memory >> 30, " GiB");
    add_objects(topology, object->cpuset, kind + 1, inner);
    place.inside.push_back(std::move(inner));
  }
  if (!any) add_objects(topology, cpus, kind + 1, place);
}

}  // namespace

Place tree_of(const Cluster& cluster, const std::string& title) {
  Place tree{"", "", {}};
  int ranks = 0;
  std::vector<Place> racks;
  for (const Cluster::Rack& rack : cluster.racks) racks.push_back({"rack", rack.name, {way_of(rack.uplink_bps, rack.latency_s)}});
  std::vector<Place> alone;  // hosts in no rack
  for (const Cluster::Host& host : cluster.hosts) {
    Place place = place_of(host, ranks);
    (host.rack >= 0 ? racks[static_cast<size_t>(host.rack)].inside : alone).push_back(std::move(place));
  }
  for (const Cluster::Site& site : cluster.sites) tree.inside.push_back({"site", site.name, {way_of(site.uplink_bps, site.latency_s)}});
  for (size_t r = 0; r < racks.size(); ++r) {
    const int site = cluster.racks[r].site;
    (site >= 0 ? tree.inside[static_cast<size_t>(site)] : tree).inside.push_back(std::move(racks[r]));
  }
  std::move(alone.begin(), alone.end(), std::back_inserter(tree.inside));
  tree.name = concat(title, ": hosts: ", cluster.hosts.size(), ", ranks: ", ranks);
  return tree;
}

Place tree_of(const Topology& topology, const std::string& title) {
  Place tree{"", concat(title, ": ranks: ", topology.ranks()), {}};
  std::vector<int> ranks;
  for (int rank = 0; rank < topology.ranks(); ++rank) ranks.push_back(rank);
  add_places(topology, ranks, 0, tree);
  return tree;
}

Result<Place> tree_of_this_machine() {
  hwloc_topology_t topology;
  if (hwloc_topology_init(&topology) != 0) return fail(Code::SystemError, "hwloc cannot be used");
  if (hwloc_topology_load(topology) != 0) {
    hwloc_topology_destroy(topology);
    return fail(Code::SystemError, "hwloc cannot find out what this machine is made of");
  }
  char name[256] = "this machine";
  gethostname(name, sizeof name - 1);
  Place host{"host", name, {}};
  for (const Nic& nic : outward_nics())
    host.ways.push_back(nic.bytes_per_s > 0 ? way_of(8 * static_cast<double>(nic.bytes_per_s), {}, nic.name)
                                            : Way{0, nic.name + " (rate unknown)"});
  add_objects(topology, hwloc_get_root_obj(topology)->cpuset, 0, host);
  hwloc_topology_destroy(topology);
  Place tree{"", "this machine", {}};
  tree.inside.push_back(std::move(host));
  return tree;
}

void fold(Place& place) {
  for (Place& inner : place.inside) fold(inner);
  std::vector<Place> folded;
  for (size_t first = 0; first < place.inside.size();) {
    size_t end = first + 1;
    while (end < place.inside.size() && alike(place.inside[first], place.inside[end])) ++end;
    const bool long_run = end - first > kLongRun;
    for (size_t i = first; i < (long_run ? first + 2 : end); ++i) folded.push_back(place.inside[i]);
    if (long_run) {
      folded.back().alike = static_cast<int>(end - first - 1);
      folded.back().name += " .. " + place.inside[end - 1].name;
      folded.back().inside.clear();
    }
    first = end;
  }
  place.inside = std::move(folded);
}

std::string text_of(const Place& tree) {
  std::string text;
  write(tree, "", "", text);
  return text;
}

}  // namespace tutti::show
