// introductions: the blobs that three ranks exchange while a communicator is made, as lib/comm/join.cc reads them: the first blob of each
// rank, its NICs, and its findings. Each blob has its length in front.
#include "lib/comm/fields.h"
#include "lib/comm/seats.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

constexpr int kRanks = 3;

std::vector<std::string> blobs_of(Input& input) {
  std::vector<std::string> blobs;
  for (int rank = 0; rank < kRanks; ++rank) blobs.emplace_back(input.take(input.two_bytes()));
  return blobs;
}

std::vector<std::string> checked_fields_of(const std::string& blob) {
  const std::vector<std::string> fields = fields_of(blob);
  std::string again;
  for (const std::string& field : fields) append(again, field);
  demand(fields.size() <= kMaxFields && (fields.empty() || again == blob), "fields that are read and written are the same");
  return fields;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Result<Settings> settings = Settings::load();
  Input input(data, size);
  Seats seats;
  demand(settings.ok() && seats.read(settings.value(), 1, kRanks).ok(), "settings can be read");

  std::vector<std::string> whereabouts;
  for (const std::string& blob : blobs_of(input)) {
    std::vector<std::string> fields = checked_fields_of(blob);
    if (fields.empty()) return 0;
    fields = checked_fields_of(fields[0]);
    if (fields.size() != 4 || code_of(fields[1]) != Code::Success) return 0;
    whereabouts.push_back(fields[3]);
  }
  if (!seats.hear(whereabouts).ok()) return 0;
  if (seats.nics_matter()) seats.hear_nics(blobs_of(input));
  if (!seats.place().ok()) return 0;
  const std::string mine = seats.findings({});

  std::vector<std::string> said;
  for (const std::string& blob : blobs_of(input)) {
    const std::vector<std::string> fields = checked_fields_of(blob);
    if (fields.size() != 3) return 0;
    // The fuzzer cannot guess the hash of a topology. Only the bytes after the hash come from the input.
    said.push_back(fields[2].size() == mine.size() ? mine.substr(0, 8) + fields[2].substr(8) : fields[2]);
  }
  const Result<Topology> topology = seats.settle(said);
  if (topology.ok()) demand(topology.value().ranks() == kRanks, "all ranks are in the topology");
  return 0;
}
