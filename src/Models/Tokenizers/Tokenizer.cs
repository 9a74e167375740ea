namespace Krewe.Models;

/// <summary>Text to token ids and back, from <c>tokenizer.json</c>.</summary>
public sealed class Tokenizer
{
    private readonly string _directory;

    private Tokenizer(string directory) => _directory = directory;

    public int VocabularySize => throw Missing();

    public static Tokenizer Load(string directory) => new(directory);

    public int[] Encode(string text, bool addSpecialTokens, bool parseSpecialTokens = true) => throw Missing();

    public string Decode(ReadOnlySpan<int> tokens, bool skipSpecialTokens = true) => throw Missing();

    public bool IsSpecial(int id) => throw Missing();

    public string? TokenText(int id) => throw Missing();

    public ReadOnlySpan<byte> TokenBytes(int id) => throw Missing();

    public int? TokenId(string text) => throw Missing();

    public StreamDecoder CreateStreamDecoder(bool skipSpecialTokens = true) => new(this, skipSpecialTokens);

    private ModelException Missing() => new($"{_directory}: tokenizers cannot be read in this build.");
}
