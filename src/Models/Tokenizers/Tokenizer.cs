using System.Collections.Concurrent;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// Text to token ids and back, from <c>tokenizer.json</c>: byte-level BPE (GPT-2, Llama 3, Qwen 2 and 3) and
/// SentencePiece-style BPE with byte fallback (Llama 2, Mistral). Safe for all threads; ids equal those of Hugging Face
/// tokenizers.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly ConcurrentBag<EncodeScratch> _scratch = [];

    private Tokenizer(TokenizerParts parts) => _parts = parts;

    /// <summary>Largest token id + 1.</summary>
    public int VocabularySize => _parts.Vocabulary.Size;

    internal int LeadingSpacesStripped => _parts.Decoder.LeadingSpacesStripped;

    /// <summary>Reads <c>tokenizer.json</c> of a model folder.</summary>
    /// <exception cref="ModelException">A component is not supported, or the tokens that it needs are
    /// missing.</exception>
    public static Tokenizer Load(string directory) =>
        new(TokenizerReader.Read(JsonField.Load(Path.Combine(directory, "tokenizer.json"))));

    internal static Tokenizer Parse(string json) =>
        new(TokenizerReader.Read(JsonField.Parse("tokenizer.json", Encoding.UTF8.GetBytes(json))));

    /// <summary>The ids of a text.</summary>
    /// <param name="addSpecialTokens">Whether to add what the post-processor adds (for example a begin token). Text
    /// from a chat template already has it.</param>
    /// <param name="parseSpecialTokens">Whether special tokens spelled out in the text become their ids. Leave it off
    /// for text that must not be able to end a message.</param>
    public int[] Encode(string text, bool addSpecialTokens, bool parseSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!_scratch.TryTake(out var scratch))
            scratch = new EncodeScratch();
        var output = scratch.Output;
        output.Clear();
        if (addSpecialTokens)
            output.AddRange(_parts.PostProcessor.Prefix);
        EncodeAround(_parts.RawAdded, text, parseSpecialTokens, scratch, EncodeRaw);
        if (addSpecialTokens)
            output.AddRange(_parts.PostProcessor.Suffix);
        var result = output.ToArray();
        if (scratch.WorthKeeping)
            _scratch.Add(scratch);
        return result;
    }

    /// <summary>The text of tokens. Bytes that are not valid UTF-8 become U+FFFD; ids without a token give nothing.
    /// </summary>
    public string Decode(ReadOnlySpan<int> tokens, bool skipSpecialTokens = true)
    {
        var decoder = CreateStreamDecoder(skipSpecialTokens);
        var text = new StringBuilder();
        foreach (var token in tokens)
            decoder.AppendTo(text, token);
        return text.Append(decoder.Flush()).ToString();
    }

    /// <summary>A decoder for tokens that arrive one at a time.</summary>
    /// <param name="continuation">The tokens continue a text. SentencePiece-style tokenizers otherwise drop the first
    /// space, as <see cref="Decode"/> does; byte-level ones never do.</param>
    public StreamDecoder CreateStreamDecoder(bool skipSpecialTokens = true, bool continuation = false) =>
        new(this, skipSpecialTokens, continuation ? 0 : LeadingSpacesStripped);

    /// <summary>Whether the id is an added token marked special; false for ids without a token.</summary>
    public bool IsSpecial(int id) => _parts.Vocabulary.IsSpecial(id);

    /// <summary>The token as tokenizer.json spells it (byte-level: in GPT-2's alphabet); null for ids without a token.
    /// </summary>
    public string? TokenText(int id) => _parts.Vocabulary.Text(id);

    /// <summary>The bytes that the token adds to a text, not necessarily whole characters; empty for ids without a
    /// token.</summary>
    public ReadOnlySpan<byte> TokenBytes(int id) => _parts.Vocabulary.Bytes(id);

    /// <summary>The id of a token spelled as in tokenizer.json; null where there is none.</summary>
    public int? TokenId(string text) => _parts.Vocabulary.IdOf(text);

    private delegate void EncodeStretch(string stretch, bool atStart, bool parseSpecialTokens, EncodeScratch scratch);

    /// <summary>Ids of the added tokens in the text, and between them what <paramref name="encodeRest"/>
    /// makes.</summary>
    private static void EncodeAround(
        AddedTokens added, string text, bool parseSpecialTokens, EncodeScratch scratch, EncodeStretch encodeRest,
        bool atStart = true)
    {
        var position = 0;
        while (position < text.Length)
        {
            var found = added.TryFind(text, position, parseSpecialTokens, out var token, out var start, out var end);
            if (start > position)
                encodeRest(text[position..start], atStart && position == 0, parseSpecialTokens, scratch);
            if (found)
                scratch.Output.Add(token!.Id);
            position = end;
        }
    }

    private void EncodeRaw(string text, bool atStart, bool parseSpecialTokens, EncodeScratch scratch)
    {
        var normalized = _parts.Normalizer.Apply(text);
        if (_parts.NormalizedAdded.IsEmpty)
            EncodeNormalized(normalized, atStart, parseSpecialTokens, scratch);
        else
            EncodeAround(_parts.NormalizedAdded, normalized, parseSpecialTokens, scratch, EncodeNormalized, atStart);
    }

    private void EncodeNormalized(string text, bool atStart, bool parseSpecialTokens, EncodeScratch scratch)
    {
        var preTokenizer = _parts.PreTokenizer;
        var prepared = (preTokenizer.ChangesText ? preTokenizer.Prepare(text, atStart) : text).AsSpan();
        scratch.Pieces.Clear();
        if (!prepared.IsEmpty)
            scratch.Pieces.Add(new Piece(0, prepared.Length));
        foreach (var splitter in preTokenizer.Splitters)
        {
            scratch.NextPieces.Clear();
            foreach (var piece in scratch.Pieces)
                splitter.Split(prepared.Slice(piece.Start, piece.Length), piece.Start, scratch.NextPieces);
            scratch.SwapPieces();
        }

        foreach (var piece in scratch.Pieces)
            _parts.Model.Encode(prepared.Slice(piece.Start, piece.Length), scratch);
    }
}
