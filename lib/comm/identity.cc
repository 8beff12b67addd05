// identity: see identity.h.
#include "lib/comm/identity.h"

#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "lib/base/process.h"
#include "lib/base/version.h"
#include "lib/topo/whereabouts.h"
#include "lib/trace/file.h"

namespace tutti {
namespace {

constexpr int kFormat = 1;

std::string host_name() {
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  return host;
}

int64_t wall_clock_ns() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

uint64_t process_number() {
  const ProcessToken token = process_token();
  return token[0] ^ (token[1] << 1 | token[1] >> 63);
}

std::string hex(uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

std::string Identity::file_name(const char* kind) const {
  return concat(kind, "-rank", options.rank, "-comm", options.number, "-", file_word(host_name()), "-", getpid());
}

Line Identity::header(const char* kind) const {
  const Result<Whereabouts> here = whereabouts_here();
  Line line;
  line.text("ph", "M").text("name", "tutti").number("pid", options.rank).number("tid", 0).open("args");
  line.text("kind", kind).number("format", kFormat).number("version", kVersionCode).text("host", host_name());
  line.text("machine", here.ok() ? here.value().boot_id : "").number("pid", getpid()).text("process", hex(process_number()));
  line.text("communicator", options.title()).text("key", hex(options.key)).number("rank", options.rank).number("ranks", options.ranks);
  line.text("root", hex(options.root_key)).number("root_rank", options.root_rank);
  line.number("offset_ns", clock.ns).number("uncertainty_ns", clock.uncertainty_ns);
  line.number("clock_ns", now_ns()).number("wall_clock_ns", wall_clock_ns());
  return line;
}

std::string Identity::process_name() const {
  Line line;
  line.text("ph", "M").text("name", "process_name").number("pid", options.rank).number("tid", 0);
  line.open("args").text("name", concat("rank ", options.rank, " of ", options.title())).close();
  return std::string(line.take());
}

}  // namespace tutti
