#include "main/store_options.h"

namespace pier::program {

store::LogStoreOptions store_options(const Config& config) {
    store::LogStoreOptions options;
    options.folder = config.server.data_folder;
    options.message_octets_max = config.store.message_octets_max;
    options.segment_octets_max = config.store.segment_octets_max;
    options.spool_memory_octets = config.store.spool_memory_octets;
    options.listing_cache_octets = config.store.listing_cache_octets;
    options.index_cache_octets = config.store.index_cache_octets;
    options.segment_files_max = config.store.segment_files_max;
    options.purge_after = config.store.purge_after;
    options.cleaner = config.store.cleaner;
    return options;
}

}  // namespace pier::program
