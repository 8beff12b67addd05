// unique_id: the input as an id, once as it is and once with the right checksum.
#include "lib/boot/unique_id.h"

#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  UniqueId id{};
  std::copy(data, data + std::min(size, id.size()), id.begin());
  const bool whole = decode_id(id).ok();
  const Key sum = hash_text("tutti unique id", std::string_view(id.data(), id.size() - 32));
  std::copy(sum.begin(), sum.end(), id.end() - 32);
  const Result<IdContent> content = decode_id(id);
  demand(content.ok() || !whole, "a valid id stays valid when its checksum is computed again");
  if (!content.ok()) return 0;
  const Result<IdContent> again = decode_id(encode_id(content.value()));
  demand(again.ok() && again.value().address == content.value().address && again.value().secret == content.value().secret &&
             again.value().well_known == content.value().well_known,
         "an id that is encoded and decoded is the same");
  return 0;
}
