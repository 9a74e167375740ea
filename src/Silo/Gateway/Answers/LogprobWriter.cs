using System.Globalization;
using System.Text;
using Krewe.Models;
using Krewe.Silo.Gateway.Json;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>Log-probabilities in the shapes of the API.</summary>
internal sealed class LogprobWriter(Tokenizer tokenizer, bool tokensAsIds)
{
    /// <summary>JSON has no infinity; OpenAI writes this number for a token that cannot come.</summary>
    private const float Lowest = -9999;

    public ChatTokenLogprob Chat(int token, Wire.TokenLogprobs logprobs, int alternatives) => new(
        TextOf(token), Finite(logprobs.Logprob), BytesOf(token),
        [
            .. logprobs.TopTokens.Zip(logprobs.TopLogprobs).Take(alternatives).Select(top => new ChatTopLogprob(
                TextOf((int)top.First), Finite(top.Second), BytesOf((int)top.First))),
        ]);

    /// <summary>The lists of a text completion. Where a token has no log-probabilities both its entries are null.
    /// </summary>
    /// <param name="offset">Where the first token begins; moved behind the last.</param>
    public TextLogprobs Text(
        IEnumerable<(int Token, Wire.TokenLogprobs? Logprobs)> tokens, int alternatives, ref int offset)
    {
        List<int> offsets = [];
        List<float?> values = [];
        List<string> texts = [];
        List<IReadOnlyDictionary<string, float>?> tops = [];
        foreach (var (token, logprobs) in tokens)
        {
            var text = TextOf(token);
            texts.Add(text);
            offsets.Add(offset);
            offset += text.Length;
            values.Add(logprobs is null ? null : Finite(logprobs.Logprob));
            tops.Add(logprobs is null ? null : Top(text, logprobs, alternatives));
        }

        return new TextLogprobs
        {
            TextOffset = offsets,
            TokenLogprobs = values,
            Tokens = texts,
            TopLogprobs = tops,
        };
    }

    public PromptLogprobList Prompt(
        IReadOnlyList<int> prompt, IReadOnlyList<Wire.TokenLogprobs> logprobs, int alternatives)
    {
        var result = new PromptLogprobList { null };
        for (var i = 0; i < logprobs.Count; i++)
        {
            var entries = new Dictionary<string, PromptLogprob>(StringComparer.Ordinal);
            var of = logprobs[i];
            Add(entries, prompt[i + 1], of.Logprob, (int)of.Rank);
            for (var place = 0; place < Math.Min(alternatives, of.TopTokens.Count); place++)
                Add(entries, (int)of.TopTokens[place], of.TopLogprobs[place], place + 1);
            result.Add(entries);
        }

        return result;
    }

    private void Add(Dictionary<string, PromptLogprob> entries, int token, float logprob, int rank) => entries.TryAdd(
        token.ToString(CultureInfo.InvariantCulture),
        new PromptLogprob(Finite(logprob), rank, Encoding.UTF8.GetString(tokenizer.TokenBytes(token))));

    /// <summary>The best ones, and the token itself. Tokens of equal text (parts of characters) share an entry: the
    /// better one's.</summary>
    private Dictionary<string, float> Top(string text, Wire.TokenLogprobs logprobs, int alternatives)
    {
        var top = new Dictionary<string, float>(StringComparer.Ordinal);
        foreach (var (other, logprob) in logprobs.TopTokens.Zip(logprobs.TopLogprobs).Take(alternatives))
            top.TryAdd(TextOf((int)other), Finite(logprob));
        top.TryAdd(text, Finite(logprobs.Logprob));
        return top;
    }

    private string TextOf(int token) => tokensAsIds
        ? string.Create(CultureInfo.InvariantCulture, $"token_id:{token}")
        : Encoding.UTF8.GetString(tokenizer.TokenBytes(token));

    private int[] BytesOf(int token) => [.. tokenizer.TokenBytes(token).ToArray().Select(value => (int)value)];

    private static float Finite(float logprob) => logprob > Lowest ? logprob : Lowest;
}
