using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Kv;

namespace Krewe.Workers;

/// <summary>Blocks that another worker is believed to hold.</summary>
/// <param name="Source">Who.</param>
/// <param name="Hashes">Their names, neighbours in one prefix chain.</param>
/// <param name="Blocks">Reserved blocks for them, by the same index.</param>
/// <param name="Patience">Silence after which the rest is computed instead.</param>
internal sealed record PrefixRequest(DataAddress Source, PrefixHash[] Hashes, BlockId[] Blocks, TimeSpan Patience);

/// <summary>How a fetch ended: its first blocks are here, whole and verified; nothing writes into any.</summary>
/// <param name="Blocks">How many; 0 when the holder has none any more or was not reached.</param>
/// <param name="Bytes">Bytes that came.</param>
/// <param name="Duration">From the start to the end.</param>
/// <param name="Reason">Why it ended early; null when all came that the holder had.</param>
internal readonly record struct PrefixResult(int Blocks, long Bytes, TimeSpan Duration, string? Reason);
