using System.Buffers;
using System.Text;

namespace Krewe.Models;

/// <summary>Token ids, their texts as tokenizer.json spells them, and the bytes that they decode to.</summary>
internal sealed class Vocabulary
{
    /// <summary>No known tokenizer comes near; bounds what a corrupt id can allocate.</summary>
    public const int IdMax = (1 << 24) - 1;

    private readonly Dictionary<string, int> _idOf;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _idOfSpan;
    private readonly string?[] _texts;
    private readonly bool[] _special;
    private readonly byte[] _bytes;
    private readonly int[] _offsets;

    public Vocabulary(Dictionary<string, int> idOf, IReadOnlyList<AddedToken> added, Func<string, bool, byte[]> toBytes)
    {
        _idOf = idOf;
        _idOfSpan = idOf.GetAlternateLookup<ReadOnlySpan<char>>();
        var size = idOf.Count == 0 ? 0 : idOf.Values.Max() + 1;
        _texts = new string?[size];
        _special = new bool[size];
        foreach (var (text, id) in idOf)
        {
            if (_texts[id] is { } other)
                throw new ModelException($"tokenizer.json: the id {id} is given to \"{other}\" and to \"{text}\".");
            _texts[id] = text;
        }

        var isAdded = new bool[size];
        foreach (var token in added)
            (isAdded[token.Id], _special[token.Id]) = (true, token.Special);

        var all = new ArrayBufferWriter<byte>();
        _offsets = new int[size + 1];
        for (var id = 0; id < size; id++)
        {
            if (_texts[id] is { } text)
                all.Write(toBytes(text, isAdded[id]));
            _offsets[id + 1] = all.WrittenCount;
        }

        _bytes = all.WrittenSpan.ToArray();
    }

    /// <summary>Largest id + 1; ids may have gaps.</summary>
    public int Size => _texts.Length;

    public int? IdOf(ReadOnlySpan<char> text) => _idOfSpan.TryGetValue(text, out var id) ? id : null;

    public int? IdOf(Rune rune)
    {
        Span<char> chars = stackalloc char[2];
        return IdOf(chars[..rune.EncodeToUtf16(chars)]);
    }

    public string? Text(int id) => (uint)id < (uint)_texts.Length ? _texts[id] : null;

    public bool IsSpecial(int id) => (uint)id < (uint)_special.Length && _special[id];

    /// <summary>Empty for an id without a token: models pad their embedding beyond the vocabulary.</summary>
    public ReadOnlySpan<byte> Bytes(int id) =>
        (uint)id < (uint)_texts.Length ? _bytes.AsSpan(_offsets[id].._offsets[id + 1]) : [];
}
