using System.Runtime.InteropServices;
using System.Text;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// Lets a sequence think for so many tokens, then lets nothing follow but the tag that ends the thought, in the tokens
/// that the tokenizer makes of it. Else what comes is up to the output's form. A character whose first bytes are
/// the last token is written to its end before.
/// </summary>
internal sealed class LimitedThought : ITokenConstraint
{
    /// <summary>Tokens that the rest of a character takes at most.</summary>
    private const int CharacterTokens = 3;

    private readonly ThoughtLimit _limit;
    private readonly Tokenizer _tokenizer;
    private readonly ITokenConstraint? _form;
    private readonly byte[] _opening;

    /// <summary>What ends a thought.</summary>
    private readonly byte[][] _ends;

    /// <summary>The end of the text so far, as much as a tag may begin in.</summary>
    private readonly List<byte> _tail = [];

    private readonly ulong[] _only;
    private Place _place;
    private int _thought;

    /// <summary>Tokens that the thought is brought to its end with; null while it may go on.</summary>
    private int[]? _ending;

    private int _ended;

    /// <param name="vocabularySize">Rows of the model's logits.</param>
    /// <param name="form">
    /// What the output must look like, thoughts included; it takes the tag wherever a thought may be. Null: anything.
    /// </param>
    public LimitedThought(ThoughtLimit limit, Tokenizer tokenizer, int vocabularySize, ITokenConstraint? form)
    {
        (_limit, _tokenizer, _form) = (limit, tokenizer, form);
        _opening = Encoding.UTF8.GetBytes(limit.Opening);
        _ends = [.. new[] { limit.Closing, limit.Call }.OfType<string>().Select(Encoding.UTF8.GetBytes)];
        _only = new ulong[(vocabularySize + 63) / 64];
        _place = limit.IsOpen ? Place.Thought : Place.Start;
        EndIfSpent();
    }

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
            if (_ending is null) return _form is null ? default : _form.Allowed;
            var token = _ending[_ended];
            Array.Clear(_only);
            _only[token / 64] = 1UL << (token % 64);
            return _only;
        }
    }

    public bool IsFree(int ahead) =>
        _form is null && (_place == Place.Answer || (_ending is null && _thought + ahead < _limit.TokensMax));

    public void Advance(int token)
    {
        _form?.Advance(token);
        if (_ending is not null)
        {
            // A worker of another version may have let it think on: then it has no limit any more.
            if (token == _ending[_ended] && ++_ended < _ending.Length) return;
            (_place, _ending) = (Place.Answer, null);
        }

        if (_place == Place.Answer) return;
        var begins = _tail.Count == 0;
        if (token < _tokenizer.VocabularySize) _tail.AddRange(_tokenizer.TokenBytes(token));
        if (_place == Place.Start)
        {
            Begin();
        }
        else
        {
            _thought++;
            Think(isFirst: begins);
        }

        EndIfSpent();
    }

    private void Begin()
    {
        ReadOnlySpan<byte> text = CollectionsMarshal.AsSpan(_tail);
        // No form takes white space before the tag.
        if (_form is null) text = text.TrimStart(" \t\r\n"u8);
        if (text.StartsWith(_opening))
        {
            _place = Place.Thought;
            _tail.RemoveRange(0, _tail.Count - text.Length + _opening.Length);
            Think(isFirst: false);
        }
        else if (!_opening.AsSpan().StartsWith(text))
        {
            _place = Place.Answer;
        }
    }

    private void Think(bool isFirst)
    {
        var text = CollectionsMarshal.AsSpan(_tail);
        foreach (var end in _ends)
        {
            if (text.IndexOf(end) >= 0) _place = Place.Answer;
        }

        if (isFirst && _limit.CallAtStart is { } call && text.Length > 0 && text[0] == call[0]) _place = Place.Answer;
        var kept = Math.Min(_tail.Count, _ends.Max(end => end.Length) - 1);
        _tail.RemoveRange(0, _tail.Count - kept);
    }

    private void EndIfSpent()
    {
        if (_place != Place.Thought || _thought < _limit.TokensMax) return;
        // A form lets no half character stand; without one a model may write such for ever.
        if (EndsInCharacter() && (_form is not null || _thought < _limit.TokensMax + CharacterTokens)) return;
        _ending = Ending();
        _ended = 0;
    }

    private bool EndsInCharacter()
    {
        for (var back = 1; back <= Math.Min(CharacterTokens, _tail.Count); back++)
        {
            var value = _tail[^back];
            if (value is >= 0x80 and < 0xC0) continue;
            return back < value switch { < 0x80 => 1, < 0xE0 => 2, < 0xF0 => 3, _ => 4 };
        }

        return false;
    }

    /// <summary>The tag; where it has begun, in text, the rest of it.</summary>
    private int[] Ending()
    {
        var whole = _tokenizer.Encode(_limit.Closing, addSpecialTokens: false);
        if (whole.Length == 1) return whole;
        var tail = Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(_tail));
        for (var begun = _limit.Closing.Length - 1; begun > 0; begun--)
        {
            if (!tail.EndsWith(_limit.Closing[..begun], StringComparison.Ordinal)) continue;
            var rest = _tokenizer.Encode(_limit.Closing[begun..], addSpecialTokens: false);
            // Some tokenizers begin every text with a space.
            var bytes = rest.SelectMany(token => _tokenizer.TokenBytes(token).ToArray()).ToArray();
            return Encoding.UTF8.GetString(bytes) == _limit.Closing[begun..] ? rest : whole;
        }

        return whole;
    }
}
