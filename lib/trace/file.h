// file: a file of events in Chrome's format: a JSON array with one object a line.
//
//   [
//   {"ph":"M",...},
//   {"ph":"X",...}
//   ]
//
// Every write ends with a whole line, but for the last one before the system or the process stops. So a file without an end can still be read
// line by line. A file is never overwritten.
// Call add() and the others in a thread of the library: it blocks SIGXFSZ, which a full file would otherwise raise.
#pragma once
#include <string>
#include <string_view>

#include "lib/base/descriptor.h"
#include "lib/base/status.h"

namespace tutti {

class TraceFile {
 public:
  // Makes FOLDER/NAME.json, or NAME-2.json if that is there, and so on. If FOLDER alone is missing, it is made.
  static Result<TraceFile> make(const std::string& folder, const std::string& name, size_t most_bytes);

  // Adds an object. It is written at flush(), or when much has come together.
  Status add(std::string_view object);
  // After a failure the file ends with the last line that is whole, add() does nothing, and all return that failure.
  Status flush();
  // Ends the array. Nothing may be added after that.
  Status close();
  const std::string& path() const { return path_; }

 private:
  Status write_all(const std::string& text);

  Descriptor file_;
  std::string path_, text_;
  size_t written_ = 0, most_bytes_ = 0;
  Status failure_;
};

// Whether files can be made in the folder. Makes it, if only its last part is missing.
Status check_folder(const std::string& folder);

// What may stand in the name of a file: other characters become _.
std::string file_word(const std::string& text);

}  // namespace tutti
