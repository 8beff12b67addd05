// messages: payloads of the control plane's frames. The first byte of the input chooses the kind of payload.
#include "lib/boot/inquiry.h"
#include "lib/boot/rendezvous.h"
#include "lib/boot/wire.h"
#include "tests/fuzz/target.h"

using namespace tutti;
using namespace tutti::fuzz;

namespace {

void check_hello(const std::string& bytes) {
  Hello hello, again;
  if (!unpack(bytes, &hello)) return;
  demand(hello.ranks >= 1 && hello.ranks <= kMaxRanks && hello.who.rank >= 0 && hello.who.rank < hello.ranks, "the rank of a hello is below the number of ranks");
  demand(unpack(pack(hello), &again) && pack(again) == pack(hello), "a hello that is written and read is the same");
}

void check_parts(const std::string& bytes) {
  Reader in(bytes);
  while (in.ok()) {
    const Identity who = in.identity();
    const Cause cause = in.cause();
    const Address address = in.address();
    const Key key = in.key();
    demand(who.host.size() <= 64 && cause.text.size() <= kMaxTextBytes, "no text is longer than its limit");
    if (!in.ok()) break;
    const std::string written = Writer().identity(who).cause(cause).address(address).text(view_of(key)).bytes();
    Reader back(written);
    demand(to_text(back.identity()) == to_text(who) && back.cause().text == cause.text && back.address() == address && back.key() == key &&
               back.ok(),
           "parts that are written and read are the same");
    (void)to_text(address);
  }
}

// An inquiry about a late operation, with the answer of every rank.
void check_inquiry(const std::string& bytes) {
  Reader in(bytes);
  Inquiry inquiry{};
  inquiry.entered = in.u8();
  const uint32_t suspects = in.u32();
  for (uint32_t i = 0; i < suspects && in.ok(); ++i) inquiry.suspects.push_back(static_cast<int>(in.u32()));
  inquiry.text = in.text(kMaxTextBytes);
  std::vector<Answer> answers;
  while (in.ok() && answers.size() < kMaxRanks) {
    Answer answer;
    answer.kind = static_cast<Answer::Kind>(in.u8() % 3);
    answer.activity = {in.u8(), in.u8(), in.text(kMaxTextBytes), in.text(kMaxTextBytes)};
    answers.push_back(std::move(answer));
  }
  const Cause cause = conclude(inquiry, answers);
  demand(cause.rank >= -1 && cause.rank < static_cast<int>(answers.size()), "a rank that is blamed exists");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string payload = string_of(data + 1, std::min(size - 1, kMaxPayloadBytes));
  switch (data[0]) {
    case 'h': check_hello(payload); break;
    case 'p': check_parts(payload); break;
    case 'i': check_inquiry(payload); break;
    default: break;
  }
  return 0;
}
