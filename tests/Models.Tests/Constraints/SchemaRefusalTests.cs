namespace Krewe.Models.Tests.Constraints;

/// <summary>Schemas that cannot be kept are refused with their place and a word on what to change.</summary>
public sealed class SchemaRefusalTests
{
    [Theory]
    [InlineData("""{"type":"object","patternProperties":{"a":{}}}""", ".patternProperties", "not supported")]
    [InlineData("""{"properties":{"a":{"not":{}}}}""", ".properties.a.not", "not supported")]
    [InlineData("""{"type":"array","uniqueItems":true}""", ".uniqueItems", "not supported")]
    [InlineData("""{"if":{},"then":{}}""", ".if", "not supported")]
    [InlineData("""{"type":"string","format":"iban"}""", ".format", "supported are")]
    [InlineData("""{"type":"text"}""", ".type", "must be one of")]
    [InlineData("""{"type":"string","pattern":"(?=a)"}""", ".pattern", "look-around")]
    [InlineData("""{"items":{"$ref":"#/$defs/x"}}""", ".items.$ref", "points to nothing")]
    [InlineData("""{"$ref":"https://example.com/s"}""", ".$ref", "must point into")]
    [InlineData("""{"$ref":"#"}""", "", "refers to itself")]
    [InlineData("""{"allOf":[{"$ref":"#"}]}""", ".allOf[0]", "refers to itself")]
    [InlineData("""{"enum":[]}""", ".enum", "at least one")]
    [InlineData("""{"enum":[1],"minimum":0}""", ".minimum", "beside enum")]
    [InlineData("""{"anyOf":[]}""", ".anyOf", "at least one")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", ".oneOf", "may satisfy both")]
    [InlineData("""{"type":"string","minLength":-1}""", ".minLength", "whole number")]
    [InlineData("""{"type":"string","minLength":5,"maxLength":4}""", "", "no text")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":4}""", "", "no text")]
    [InlineData("""{"type":"number","multipleOf":0.3}""", ".multipleOf", "whole number, or 0.1")]
    [InlineData("""{"properties":{"a":{}},"minProperties":1}""", ".minProperties", "no properties are named")]
    [InlineData("""{"items":[{}]}""", ".items", "prefixItems")]
    [InlineData("false", "", "no text")]
    [InlineData("3", "", "object, true or false")]
    public void A_schema_that_cannot_be_kept_is_refused_by_its_place(string schema, string path, string why)
    {
        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(ConstraintKind.JsonSchema, schema));
        Assert.Equal(path, error.Path);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"string","maxLength":1000000}""")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":1000000}""")]
    [InlineData("""{"type":"string","pattern":"(a|b)*a(a|b){40}"}""")]
    public void A_schema_that_is_too_large_is_refused_for_its_size(string schema)
    {
        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(ConstraintKind.JsonSchema, schema));
        Assert.Matches("states|ambiguous", error.Message);
    }

    [Fact]
    public void Definitions_that_double_each_other_are_small()
    {
        var definitions = string.Concat(Enumerable.Range(0, 50).Select(i => "\"d" + i
            + "\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/d" + (i + 1)
            + "\"},\"b\":{\"$ref\":\"#/$defs/d" + (i + 1) + "\"}}},"));
        var schema = "{\"$defs\":{" + definitions + "\"d50\":{\"type\":\"integer\"}},\"$ref\":\"#/$defs/d0\"}";

        var constraint = RandomWriter.Compile(ConstraintKind.JsonSchema, schema);

        Assert.True(constraint.StateCount < 5000, $"{constraint.StateCount} states");
        Assert.True(new RandomWriter(1).Write(constraint, 500).HasEnded);
    }

    [Fact]
    public void References_that_double_each_other_in_allOf_are_refused()
    {
        var definitions = string.Concat(Enumerable.Range(0, 25).Select(i => "\"d" + i
            + "\":{\"allOf\":[{\"$ref\":\"#/$defs/d" + (i + 1) + "\"},{\"$ref\":\"#/$defs/d" + (i + 1) + "\"}]},"));

        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(
            ConstraintKind.JsonSchema,
            "{\"$defs\":{" + definitions + "\"d25\":{\"type\":\"integer\"}},\"$ref\":\"#/$defs/d0\"}"));

        Assert.Contains("combinations", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"number","minimum":1e28}""")]
    [InlineData("""{"type":"number","maximum":-7.9e27}""")]
    [InlineData("""{"type":"integer","minimum":1e27}""")]
    public void Numbers_beyond_all_that_is_written_are_refused(string schema)
    {
        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(ConstraintKind.JsonSchema, schema));
        Assert.Contains("no text", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_multiply_each_other_are_refused_or_small()
    {
        var options = string.Join(',', Enumerable.Range(0, 16).Select(i => "{\"anyOf\":[{\"properties\":{\"a" + i
            + "\":{\"const\":1}}},{\"properties\":{\"a" + i + "\":{\"const\":2}}}]}"));

        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(
            ConstraintKind.JsonSchema, "{\"type\":\"object\",\"allOf\":[" + options + "]}"));

        Assert.Contains("combinations", error.Message, StringComparison.Ordinal);
    }
}
