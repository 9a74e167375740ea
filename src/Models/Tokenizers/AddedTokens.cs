using System.Buffers;
using System.Globalization;

namespace Krewe.Models;

/// <summary>A token that is found in the text as it stands, before any splitting.</summary>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized);

/// <summary>
/// Finds added tokens: leftmost, longest at each place, as the Aho-Corasick matcher of Hugging Face tokenizers does.
/// </summary>
internal sealed class AddedTokens
{
    private readonly Node _root = new();
    private readonly SearchValues<char> _firstChars;

    public AddedTokens(IReadOnlyCollection<AddedToken> tokens, Func<string, string>? normalize = null)
    {
        var first = new HashSet<char>();
        foreach (var token in tokens)
        {
            var content = normalize is null ? token.Content : normalize(token.Content);
            if (content.Length == 0)
                continue;
            first.Add(content[0]);
            var node = _root;
            foreach (var c in content)
                node = node.Step(c) ?? node.Add(c);
            node.Token ??= token;
        }

        _firstChars = SearchValues.Create([.. first]);
        IsEmpty = first.Count == 0;
    }

    public bool IsEmpty { get; }

    /// <summary>
    /// The next token at or after <paramref name="from"/>; false where there is none. [start, end) covers the
    /// whitespace that the token's strip flags swallow.
    /// </summary>
    public bool TryFind(
        ReadOnlySpan<char> text, int from, bool matchSpecial, out AddedToken? token, out int start, out int end)
    {
        var scan = from;
        while (scan < text.Length && text[scan..].IndexOfAny(_firstChars) is var skip and >= 0)
        {
            scan += skip;
            token = Longest(text[scan..], out var length);
            if (token is null)
            {
                scan++;
                continue;
            }

            (start, end) = (scan, scan + length);
            scan = end;
            // A refused match stays text, and nothing that starts inside it is tried: as the reference does.
            if ((token.Special && !matchSpecial) || (token.SingleWord && !StandsAlone(text, start, end)))
                continue;
            while (token.StripLeft && start > from && char.IsWhiteSpace(text[start - 1]))
                start--;
            while (token.StripRight && end < text.Length && char.IsWhiteSpace(text[end]))
                end++;
            return true;
        }

        (token, start, end) = (null, text.Length, text.Length);
        return false;
    }

    private AddedToken? Longest(ReadOnlySpan<char> text, out int length)
    {
        AddedToken? best = null;
        length = 0;
        Node? node = _root;
        for (var i = 0; i < text.Length; i++)
        {
            node = node.Step(text[i]);
            if (node is null)
                break;
            if (node.Token is not null)
                (best, length) = (node.Token, i + 1);
        }

        return best;
    }

    private static bool StandsAlone(ReadOnlySpan<char> text, int start, int end) =>
        (start == 0 || !IsWordChar(text[start - 1])) && (end == text.Length || !IsWordChar(text[end]));

    private static bool IsWordChar(char c) =>
        char.IsLetterOrDigit(c) || char.GetUnicodeCategory(c) is UnicodeCategory.ConnectorPunctuation
            or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    private sealed class Node
    {
        private readonly Dictionary<char, Node> _next = [];

        public AddedToken? Token { get; set; }

        public Node? Step(char c) => _next.GetValueOrDefault(c);

        public Node Add(char c) => _next[c] = new Node();
    }
}
