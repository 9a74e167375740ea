using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// How a token's text becomes bytes: the <c>decoder</c> of tokenizer.json. All decoders end in one byte string that is
/// read as UTF-8, so that text split over tokens joins, and invalid bytes become U+FFFD the way the encoding standard
/// says (one per maximal invalid part).
/// </summary>
internal sealed class TokenDecoder
{
    private readonly List<Func<string, string>> _replacements = [];
    private bool _byteFallback;

    public bool ByteLevel { get; private set; }

    /// <summary>Spaces taken off the start of the whole text.</summary>
    public int LeadingSpacesStripped { get; private set; }

    public static TokenDecoder Read(JsonField root)
    {
        var decoder = new TokenDecoder();
        decoder.Add(root.Optional("decoder")
            ?? throw root.Error("the field \"decoder\" is missing; tokens cannot be turned into text without it"));
        return decoder;
    }

    public byte[] ToBytes(string token, bool isAdded)
    {
        if (ByteLevel)
            return isAdded ? Encoding.UTF8.GetBytes(token) : FromAlphabet(token);
        if (_byteFallback && !isAdded && ParseByteToken(token) is { } value)
            return [value];
        return Encoding.UTF8.GetBytes(_replacements.Aggregate(token, (text, replace) => replace(text)));
    }

    /// <summary>The byte of a token like &lt;0x0A&gt;; null for any other text.</summary>
    public static byte? ParseByteToken(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out var value)
            ? value
            : null;

    // A token outside the alphabet (an unmarked special one) stands for its own text.
    private static byte[] FromAlphabet(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
        {
            if (!ByteAlphabet.TryGetByte(token[i], out bytes[i]))
                return Encoding.UTF8.GetBytes(token);
        }

        return bytes;
    }

    private void Add(JsonField field)
    {
        var type = field.Required("type");
        switch (type.AsString())
        {
            case "Sequence":
                foreach (var child in field.Required("decoders").Items())
                    Add(child);
                break;
            case "ByteLevel":
                ByteLevel = true;
                break;
            case "ByteFallback":
                _byteFallback = true;
                break;
            case "Fuse":
                // Tokens are joined in any case.
                break;
            case "Replace":
                _replacements.Add(Normalizer.ReadReplace(field));
                break;
            case "Strip":
                AddStrip(field);
                break;
            case "Metaspace":
                var marker = field.Required("replacement").AsString();
                _replacements.Add(text => text.Replace(marker, " ", StringComparison.Ordinal));
                _byteFallback = true;
                if (field.Optional("prepend_scheme")?.AsString() != "never"
                    && (field.Optional("add_prefix_space")?.AsBool() ?? true))
                    LeadingSpacesStripped = 1;
                break;
            default:
                throw type.Error($"the decoder \"{type.AsString()}\" is not supported; supported are ByteLevel, "
                    + "Replace, ByteFallback, Fuse, Strip, Metaspace and Sequence");
        }
    }

    private void AddStrip(JsonField field)
    {
        if (field.Required("content").AsString() != " " || field.Required("stop").AsInt() != 0)
            throw field.Error($"\"{field.Path}\": only a Strip of spaces at the start is supported");
        LeadingSpacesStripped = field.Required("start").AsInt(min: 0);
    }
}
