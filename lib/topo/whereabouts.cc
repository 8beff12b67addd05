// whereabouts: see whereabouts.h. Of the first CPU that the thread may run on, the kernel names the CPUs that share its core,
// last cache, NUMA node and package; the rank is bound to such a place if it may run nowhere else.
#include "lib/topo/whereabouts.h"

#include <dirent.h>
#include <sched.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "lib/base/host.h"

namespace tutti {
namespace {

constexpr size_t kMaxCpus = 8192;

void trim(CpuMask& mask) {
  while (!mask.empty() && mask.back() == 0) mask.pop_back();
}

// "ffff0000,00000003": 32 bits a word, highest first.
CpuMask parse_kernel_mask(const std::string& text) {
  std::vector<uint32_t> words;
  for (const char *at = text.data(), *end = at + text.size(); at < end && std::isxdigit(static_cast<unsigned char>(*at));) {
    at = std::from_chars(at, end, words.emplace_back(), 16).ptr;
    if (at < end && *at == ',') ++at;
  }
  CpuMask mask((words.size() + 1) / 2);
  for (size_t i = 0; i < words.size(); ++i) mask[i / 2] |= uint64_t{words[words.size() - 1 - i]} << (i % 2 * 32);
  trim(mask);
  return mask;
}

// "0-3,8": numbers and ranges.
CpuMask parse_kernel_list(const std::string& text) {
  CpuMask mask(kMaxCpus / 64);
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    size_t first = 0, last = 0;
    const auto low = std::from_chars(at, end, first);
    if (low.ec != std::errc()) break;
    last = first;
    at = low.ptr;
    if (at < end && *at == '-') at = std::from_chars(at + 1, end, last).ptr;
    for (size_t cpu = first; cpu <= std::min(last, kMaxCpus - 1); ++cpu) mask[cpu / 64] |= uint64_t{1} << (cpu % 64);
    if (at < end && *at == ',') ++at;
  }
  trim(mask);
  return mask;
}

int lowest(const CpuMask& mask) {
  for (size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != 0) return static_cast<int>(i * 64) + std::countr_zero(mask[i]);
  return -1;
}

bool within(const CpuMask& part, const CpuMask& whole) {
  for (size_t i = 0; i < part.size(); ++i)
    if (part[i] & ~(i < whole.size() ? whole[i] : 0)) return false;
  return true;
}

CpuMask allowed_cpus() {
  CpuMask mask(kMaxCpus / 64);
  if (sched_getaffinity(0, kMaxCpus / 8, reinterpret_cast<cpu_set_t*>(mask.data())) != 0) mask.clear();
  trim(mask);
  return mask;
}

// The folder of a CPU has a link to its node.
std::string node_of(const std::string& cpu) {
  std::string node;
  DIR* folder = opendir(cpu.c_str());
  if (!folder) return node;
  while (const dirent* entry = readdir(folder))
    if (std::strncmp(entry->d_name, "node", 4) == 0 && std::isdigit(static_cast<unsigned char>(entry->d_name[4])))
      node = entry->d_name;
  closedir(folder);
  return node;
}

std::array<int, kInsides> places_of(const CpuMask& cpus) {
  std::array<int, kInsides> inside{-1, -1, -1, -1};
  // Bound to nothing: most programs, and nothing more to read.
  if (cpus.empty() || within(parse_kernel_list(read_kernel_file("/sys/devices/system/cpu/online")), cpus)) return inside;
  const std::string cpu = concat("/sys/devices/system/cpu/cpu", lowest(cpus));
  const std::string files[kInsides] = {cpu + "/topology/package_cpus", concat("/sys/devices/system/node/", node_of(cpu), "/cpumap"),
                                       cpu + "/cache/index3/shared_cpu_map", cpu + "/topology/core_cpus"};
  for (size_t i = 0; i < kInsides; ++i)
    if (const CpuMask place = parse_kernel_mask(read_kernel_file(files[i])); within(cpus, place)) inside[i] = lowest(place);
  return inside;
}

// As one word of text_of().
std::string word_of(std::string text) {
  text.erase(std::find_if(text.begin(), text.end(), [](unsigned char c) { return c == '\n' || c == '\0'; }), text.end());
  for (char& c : text)
    if (std::isspace(static_cast<unsigned char>(c))) c = '_';
  return text.empty() ? "?" : text;
}

}  // namespace

Result<Whereabouts> whereabouts_here() {
  Whereabouts here;
  Result<std::string> id = machine_id();
  if (!id.ok()) return id.status();
  here.boot_id = word_of(std::move(id.value()));
  here.network = network_number();
  here.host = word_of(host_name());
  here.cpus = allowed_cpus();
  here.inside = places_of(here.cpus);
  return here;
}

std::string text_of(const Whereabouts& whereabouts) {
  std::string text = concat(whereabouts.boot_id, ' ', whereabouts.network, ' ', whereabouts.host);
  for (int place : whereabouts.inside) text += ' ' + std::to_string(place);
  text += ' ' + std::to_string(whereabouts.cpus.size());
  for (uint64_t word : whereabouts.cpus) text += ' ' + std::to_string(word);
  return text + " .";  // so that a text that was cut is known
}

Result<Whereabouts> parse_whereabouts(std::string_view text) {
  bool good = true;
  std::string_view rest = text;
  const auto word = [&] {
    const std::string_view next = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), next.size() + 1));
    good = good && !next.empty();
    return next;
  };
  const auto number = [&](auto& value) {
    const std::string_view digits = word();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    good = good && error == std::errc() && end == digits.data() + digits.size();
  };
  Whereabouts read;
  size_t words = 0;
  read.boot_id = word();
  number(read.network);
  read.host = word();
  for (int& place : read.inside) number(place);
  number(words);
  good = good && words <= kMaxCpus / 64;
  if (good) read.cpus.resize(words);
  for (uint64_t& mask : read.cpus) number(mask);
  if (!good || rest != "." || text_of(read) != text) return fail(Code::InternalError, "'", text, "' does not say where a rank is");
  return read;
}

}  // namespace tutti
