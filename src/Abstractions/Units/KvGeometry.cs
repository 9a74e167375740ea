namespace Krewe.Abstractions;

/// <summary>
/// Shape of one KV block: all layers of <see cref="BlockTokens"/> token slots. Two workers may exchange blocks only
/// when their geometries are equal. Layout inside a block, contiguous: layer → K then V. K is [kvHead][dim][slot]
/// (slots are the lanes of a score), V is [kvHead][slot][dim] (dims are the lanes of an output). In INT8 a head's
/// numbers are followed by its slots' scales, so that heads stay whole runs of bytes.
/// </summary>
public readonly record struct KvGeometry(int Layers, int KvHeads, int HeadDim, int BlockTokens, KvFormat Format)
{
    /// <summary>Bytes of one number.</summary>
    public int ElementBytes => Format switch { KvFormat.F32 => 4, KvFormat.Int8 => 1, _ => 2 };

    /// <summary>Bytes of one token's vector of one head, with its scale where the format has one.</summary>
    public int VectorBytes => (HeadDim * ElementBytes) + (Format == KvFormat.Int8 ? sizeof(float) : 0);

    /// <summary>Bytes of K (or of V) of one layer in one block.</summary>
    public int PlaneBytes => KvHeads * BlockTokens * VectorBytes;

    /// <summary>Bytes of K and V of one layer in one block.</summary>
    public int LayerBytes => 2 * PlaneBytes;

    /// <summary>Bytes of one block.</summary>
    public int BlockBytes => Layers * LayerBytes;

    /// <summary>Blocks that hold <paramref name="tokens"/> tokens.</summary>
    public int BlocksFor(int tokens) => (tokens + BlockTokens - 1) / BlockTokens;

    public override string ToString() =>
        $"{Layers} layers x {KvHeads} KV heads x {HeadDim} dims, {BlockTokens} tokens a block, {Format}";
}
