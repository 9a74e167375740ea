namespace Krewe.Models;

/// <summary>The token list under a parser's cursor, with the limits on nesting.</summary>
internal sealed class TemplateTokens(List<TemplateToken> tokens)
{
    /// <summary>Real templates stay below 20; each level costs a parser about 1 KiB of stack.</summary>
    private const int DepthMax = 200;

    private int _position;
    private int _depth;

    public TemplateToken Current => tokens[_position];

    public TemplateToken Peek => tokens[Math.Min(_position + 1, tokens.Count - 1)];

    public TemplateToken Take() => _position < tokens.Count - 1 ? tokens[_position++] : tokens[_position];

    public bool Skip(string op)
    {
        if (!Current.Is(op))
            return false;
        Take();
        return true;
    }

    public bool SkipName(string name)
    {
        if (!Current.IsName(name))
            return false;
        Take();
        return true;
    }

    public void Expect(string op)
    {
        if (!Skip(op))
            throw Unexpected(Current, $"\"{op}\"");
    }

    public void Expect(TemplateTokenKind kind, string name)
    {
        if (Current.Kind != kind)
            throw Unexpected(Current, name);
        Take();
    }

    public string TakeName(string expected) =>
        Current.Kind == TemplateTokenKind.Name ? Take().Text : throw Unexpected(Current, expected);

    /// <summary>Counts one level of nesting until it is disposed.</summary>
    public Level Enter()
    {
        if (++_depth > DepthMax)
            throw Error($"expressions or tags are nested more than {DepthMax} deep");
        return new Level(this);
    }

    public static ModelException Unexpected(TemplateToken token, string expected) =>
        Error($"{expected} is expected, found {token}", token.Line);

    public ModelException Error(string complaint) => Error(complaint, Current.Line);

    private static ModelException Error(string complaint, int line) =>
        new($"The chat template cannot be read: line {line}: {complaint}.");

    public readonly struct Level(TemplateTokens owner) : IDisposable
    {
        public void Dispose() => owner._depth--;
    }
}
