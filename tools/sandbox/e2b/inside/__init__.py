"""Code that is sent to an E2B sandbox and runs there, as the same user as the untrusted code.

It runs on the template's Python, without our packages: it imports the standard library, this
package and `sandbox.inside` alone. `kernel_setup` also uses IPython and numpy where they exist.
"""
