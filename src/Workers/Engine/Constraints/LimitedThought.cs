using System.Runtime.InteropServices;
using System.Text;
using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// Lets a sequence think for so many tokens, then lets nothing follow but the tag that ends the thought, in the tokens
/// that the tokenizer makes of it. Else what comes is up to <paramref name="form"/>.
/// </summary>
/// <param name="closing">Tokens of the tag that ends a thought.</param>
/// <param name="vocabularySize">Rows of the model's logits.</param>
/// <param name="form">What the output must look like, thoughts included; it must take the tag wherever a thought may
/// be. Null: anything.</param>
internal sealed class LimitedThought(
    ThoughtLimit limit, IReadOnlyList<int> closing, Tokenizer tokenizer, int vocabularySize, ITokenConstraint? form)
    : ITokenConstraint
{
    private readonly byte[] _opening = Encoding.UTF8.GetBytes(limit.Opening);

    /// <summary>What ends a thought.</summary>
    private readonly byte[][] _ends =
        [.. new[] { limit.Closing, limit.Call }.OfType<string>().Select(Encoding.UTF8.GetBytes)];

    /// <summary>The end of the text so far, as much as a tag may begin in.</summary>
    private readonly List<byte> _tail = [];

    private readonly ulong[] _only = new ulong[(vocabularySize + 63) / 64];
    private Place _place = limit.IsOpen ? Place.Thought : Place.Start;
    private int _thought;
    private int _closed;

    private enum Place
    {
        /// <summary>It may begin with a thought.</summary>
        Start,

        /// <summary>Within one.</summary>
        Thought,

        /// <summary>Behind it, or there is none.</summary>
        Answer,
    }

    public ReadOnlySpan<ulong> Allowed
    {
        get
        {
            if (!IsSpent) return form is null ? default : form.Allowed;
            var token = closing[_closed];
            Array.Clear(_only);
            _only[token / 64] = 1UL << (token % 64);
            return _only;
        }
    }

    public bool IsOver => _place == Place.Answer && form is null or { IsOver: true };

    private bool IsSpent => _place == Place.Thought && _thought >= limit.TokensMax;

    public void Advance(int token)
    {
        form?.Advance(token);
        if (IsSpent)
        {
            if (token != closing[_closed])
            {
                throw new KreweException(
                    ErrorCode.InvalidRequest, $"Token {token} goes on with a thought that has taken all its tokens.");
            }

            if (++_closed == closing.Count) _place = Place.Answer;
            return;
        }

        if (_place == Place.Answer) return;
        if (token < tokenizer.VocabularySize) _tail.AddRange(tokenizer.TokenBytes(token));
        if (_place == Place.Start) Begin();
        else _thought++;
        if (_place == Place.Thought) Think();
    }

    /// <summary>White space may stand before the tag.</summary>
    private void Begin()
    {
        ReadOnlySpan<byte> text = CollectionsMarshal.AsSpan(_tail).TrimStart(" \t\r\n"u8);
        if (text.StartsWith(_opening))
        {
            _place = Place.Thought;
            _tail.RemoveRange(0, _tail.Count - text.Length + _opening.Length);
        }
        else if (!_opening.AsSpan().StartsWith(text))
        {
            _place = Place.Answer;
        }
    }

    private void Think()
    {
        var text = CollectionsMarshal.AsSpan(_tail);
        foreach (var end in _ends)
        {
            if (text.IndexOf(end) >= 0) _place = Place.Answer;
        }

        var kept = Math.Min(_tail.Count, _ends.Max(end => end.Length) - 1);
        _tail.RemoveRange(0, _tail.Count - kept);
    }
}
