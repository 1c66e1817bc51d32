package tradebook

import "testing"

func TestMethodsWithoutSideEffectsAreKnownFromTheirDescriptors(t *testing.T) {
	for method, want := range map[string]bool{
		"/tradebook.v1.AdminService/GetDescriptorSet": true,
		"/tradebook.v1.ModelService/PromoteModel":     false,
		"/tradebook.v1.ModelService/NoSuchMethod":     false,
		"no method": false,
	} {
		for range 2 { // the second answer is the remembered one
			if isReadOnly(method) != want {
				t.Errorf("isReadOnly(%q) is %v", method, !want)
			}
		}
	}
}
