// bytes: numbers, flags and texts in a row of bytes, as ranks tell them to one another. Numbers have this machine's byte order.
//
// A ByteReader never reads past the end. What is missing keeps its value, and whole() turns false.
#pragma once
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tutti {

// Types of which any bytes are a valid value.
template <typename Number>
concept PlainNumber = std::unsigned_integral<Number> && !std::same_as<Number, bool>;

class ByteWriter {
 public:
  template <PlainNumber Number>
  void number(Number value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void flag(bool value) { number(static_cast<uint8_t>(value)); }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    bytes_ += value;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  // REQUIRES: `bytes` outlives this.
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  template <PlainNumber Number>
  void number(Number& value) {
    if (!has(sizeof value)) return;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
  }
  void flag(bool& value) {
    uint8_t byte = 0;
    number(byte);
    if (byte > 1) refuse();
    value = byte == 1;
  }
  void text(std::string& value) {
    uint32_t length = 0;
    number(length);
    if (!has(length)) return;
    value = rest_.substr(0, length);
    rest_.remove_prefix(length);
  }
  // What was read cannot be right: whole() is false from now on.
  void refuse() { good_ = false; }
  // Nothing was missing or refused so far.
  bool good() const { return good_; }
  // The same, and nothing is left.
  bool whole() const { return good_ && rest_.empty(); }

 private:
  bool has(size_t length) { return good_ = good_ && length <= rest_.size(); }
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace tutti
