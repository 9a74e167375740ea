namespace Krewe.Control.Handoff;

/// <summary>
/// What one payload carries: layers [FirstLayer, FirstLayer + Layers) of blocks [FirstBlock, FirstBlock + Blocks), in
/// the order of the blocks. It belongs to a run of <paramref name="RunBlocks"/> blocks that travel together.
/// </summary>
public readonly record struct Piece(int FirstBlock, int Blocks, int FirstLayer, int Layers, int RunBlocks);
